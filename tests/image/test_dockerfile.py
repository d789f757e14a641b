"""The image's file, read instruction by instruction. No image is built here: there is nothing to build one with."""

import re

from infra.image import FOLDER, USER, WRITABLE
from tests.conftest import ROOT

FILE = ROOT / "infra" / "image" / "Dockerfile"
KNOWN = {"ARG", "FROM", "WORKDIR", "RUN", "COPY", "ENV", "VOLUME", "USER", "CMD"}


def instructions() -> list[tuple[str, str]]:
    """Each with what follows it, on one line."""
    text = re.sub(r"^\s*#.*\n", "", FILE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in lines if line.strip())]


def stages() -> list[list[tuple[str, str]]]:
    """Those of each stage, without what comes before the first."""
    found: list[list[tuple[str, str]]] = []
    for name, rest in instructions():
        if name == "FROM":
            found.append([])
        if found:
            found[-1].append((name, rest))
    return found


def test_every_instruction_is_known_and_the_base_names_no_host() -> None:
    assert {name for name, _ in instructions()} == KNOWN
    assert instructions()[0] == ("ARG", "BASE=python:3.11-slim-bookworm")
    assert [stage[0][1] for stage in stages()] == ["${BASE} AS build", "${BASE}"]
    assert (
        re.findall(r"https?:|index-url|[\w-]+\.(?:io|com|org)/", FILE.read_text(encoding="utf-8"), re.IGNORECASE) == []
    )


def test_packages_come_from_the_hashed_lock_alone() -> None:
    installs = [
        each for name, each in instructions() if name == "RUN" for each in each.split("&&") if " install " in each
    ]
    packages = [each for each in installs if "pip" in each and "--editable ." not in each]
    assert len(packages) == 1 and "--require-hashes --requirement requirements-image.lock" in packages[0]
    assert all("--no-deps" in each for each in installs if "pip" in each)
    assert not any(word in each for name, each in instructions() for word in ("apt", "curl", "wget", "git "))


def test_nothing_that_builds_stays_and_nobody_is_root() -> None:
    last = stages()[-1]
    assert any("pip uninstall --yes --quiet pip setuptools wheel" in rest for name, rest in last if name == "RUN")
    assert [rest for name, rest in last if name == "COPY"] == [
        "--from=build /opt/venv /opt/venv",
        "--from=build /app /app",
    ]
    assert [rest for name, rest in last if name == "USER"] == [f"{USER}:{USER}"]
    after = [name for name, _ in last[[name for name, _ in last].index("USER") :]]
    assert after == ["USER", "CMD"]
    assert [rest for name, rest in last if name == "WORKDIR"] == [FOLDER]


def test_the_volumes_are_those_that_containers_are_given() -> None:
    volumes = [rest for name, rest in stages()[-1] if name == "VOLUME"]
    assert volumes == ["[" + ", ".join(f'"{each}"' for each in WRITABLE.values()) + "]"]


def test_what_is_copied_is_there_and_is_let_through() -> None:
    copied = [each for name, rest in stages()[0] if name == "COPY" for each in rest.split()[:-1]]
    allowed = {
        line[1:] for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line[:1] == "!"
    }
    assert set(copied) == allowed and all((ROOT / each).exists() for each in copied)


def test_the_image_has_all_that_is_wanted_and_no_tool_of_development() -> None:
    names = re.compile(r"^([\w.-]+)==(\S+)", re.MULTILINE)
    image = dict(names.findall((ROOT / "requirements-image.lock").read_text(encoding="utf-8")))
    whole = dict(names.findall((ROOT / "requirements.lock").read_text(encoding="utf-8")))
    assert {name: version for name, version in image.items() if whole.get(name) != version} == {}
    assert {"torch", "zenml", "mlflow", "setuptools"} <= set(image)
    assert {"pytest", "ruff", "mypy", "uv", "playwright"} & set(image) == set()
