"""The software bill of materials of the image, from its lock: what is in it, in which version, by which hashes.

    python -m infra.image.sbom --lock requirements-image.lock --out sbom.cdx.json

CycloneDX 1.6 as JSON, checked against its schema before it is written. It is a function of the lock alone: no time, no
address of an index, no name of a machine. Of packages that the lock pins for several systems those of the image's are
listed. A component has the hashes of every file that the lock allows for it. What the base image brings, Python among
it, is not listed: the base has a list of its own.
"""

import argparse
import re
import sys
from hashlib import sha256
from pathlib import Path
from uuid import NAMESPACE_OID, uuid5

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL
from packaging.requirements import Requirement

from expunge.errors import ExpungeError

VERSION = SchemaVersion.V1_6
# What the image's Python says of itself, see Dockerfile.
SYSTEM = {
    "implementation_name": "cpython",
    "os_name": "posix",
    "platform_machine": "x86_64",
    "platform_python_implementation": "CPython",
    "platform_system": "Linux",
    "python_full_version": "3.11.0",
    "python_version": "3.11",
    "sys_platform": "linux",
}
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def components(lock: str) -> list[Component]:
    """The packages of a lock that the image has, by name.

    Raises:
        ExpungeError: one is not pinned to a version, or has no hash.
    """
    found = []
    for entry in re.split(r"^(?=[A-Za-z0-9])", lock, flags=re.MULTILINE)[1:]:
        asked = Requirement(entry.partition("\\")[0].strip())
        if asked.marker is not None and not asked.marker.evaluate(SYSTEM):
            continue
        version, hashes = str(asked.specifier), _HASH.findall(entry)
        if not version.startswith("==") or "," in version or not hashes:
            raise ExpungeError(f"lock: {asked.name} is not pinned to one version with hashes; make it with: make lock")
        purl = PackageURL("pypi", name=asked.name, version=version[2:])
        found.append(
            Component(
                name=asked.name,
                version=version[2:],
                type=ComponentType.LIBRARY,
                purl=purl,
                bom_ref=purl.to_string(),
                hashes=[HashType(alg=HashAlgorithm.SHA_256, content=each) for each in hashes],
            )
        )
    return found


def bill(lock: str) -> str:
    """The bill as JSON.

    Raises:
        ExpungeError: as ``components``, or the result is not what the schema asks for.
    """
    bom = Bom(components=components(lock), serial_number=uuid5(NAMESPACE_OID, sha256(lock.encode()).hexdigest()))
    bom.metadata.timestamp = None  # type: ignore[assignment]  # the lock's date is its commit's
    bom.metadata.component = whole = Component(name="expunge", type=ComponentType.CONTAINER, bom_ref="expunge")
    bom.register_dependency(whole, bom.components)
    text = make_outputter(bom, OutputFormat.JSON, VERSION).output_as_string(indent=1)
    if problem := JsonStrictValidator(VERSION).validate_str(text):
        raise ExpungeError(f"bill: is no CycloneDX {VERSION.to_version()}: {' '.join(str(problem).split())[:300]}")
    return text


def main() -> None:
    """Write it."""
    parser = argparse.ArgumentParser(description="The image's software bill of materials, from its lock.")
    parser.add_argument("--lock", type=Path, default=Path("requirements-image.lock"))
    parser.add_argument("--out", type=Path, required=True, help="for example sbom.cdx.json")
    options = parser.parse_args()
    try:
        made = bill(options.lock.read_text(encoding="utf-8"))
        options.out.write_text(f"{made}\n", encoding="utf-8")
    except ExpungeError as error:
        sys.exit(f"Error: {error}")
    except OSError as error:
        sys.exit(f"Error: {error.filename} cannot be read or written: {error.strerror}")
    print(f"Wrote {options.out}.")


if __name__ == "__main__":
    main()
