"""The image's bill of materials: complete, valid by CycloneDX's own schema, the same each time, without an address."""

import json
import re

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from expunge.errors import ExpungeError
from infra.image.sbom import bill, components
from tests.conftest import ROOT

HASH = "0" * 64


@pytest.fixture(scope="module")
def lock() -> str:
    return (ROOT / "requirements-image.lock").read_text(encoding="utf-8")


def test_it_lists_what_the_lock_pins_and_is_valid(lock: str) -> None:
    text = bill(lock)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    found = {each["name"]: each for each in json.loads(text)["components"]}
    pinned = set(re.findall(r"^([\w.-]+)==(\S+)", lock, re.MULTILINE))  # some twice, by the version of Python
    assert len(found) > 150 and {(name, each["version"]) for name, each in found.items()} <= pinned
    torch = re.search(r"^torch==.*?(?=^\w)", lock, re.MULTILINE | re.DOTALL)
    assert torch is not None
    assert [each["content"] for each in found["torch"]["hashes"]] == sorted(re.findall(r"sha256:(\w+)", torch[0]))
    whole = next(each for each in json.loads(text)["dependencies"] if each["ref"] == "expunge")
    assert len(whole["dependsOn"]) == len(found)


def test_it_is_the_same_each_time_and_names_no_host(lock: str) -> None:
    text = bill(lock)
    assert bill(lock) == text and "timestamp" not in text
    assert re.findall(r'https?://[^"]*', text) == ["http://cyclonedx.org/schema/bom-1.6.schema.json"]


def test_packages_of_other_systems_are_left_out() -> None:
    lock = (
        f"here==1.0 ; sys_platform == 'linux' \\\n    --hash=sha256:{HASH}\n"
        f"there==2.0 ; sys_platform == 'win32' \\\n    --hash=sha256:{HASH}\n"
    )
    assert [each.name for each in components(lock)] == ["here"]


@pytest.mark.parametrize("line", [f"loose>=1.0 \\\n    --hash=sha256:{HASH}\n", "bare==1.0\n"])
def test_what_is_not_pinned_by_hash_is_refused(line: str) -> None:
    with pytest.raises(ExpungeError, match="is not pinned to one version with hashes; make it with: make lock"):
        components(line)
