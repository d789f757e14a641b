"""What code runs: a digest of the library's own files. Loads nothing heavy."""

import hashlib
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
READ = {".py", ".j2", ".yaml"}


def digest_of(folder: Path) -> str:
    """SHA-256 over names and contents of the code, templates and configs below a folder, wherever it lies."""
    digest = hashlib.sha256()
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.suffix in READ}
    for name in sorted(found):
        content = found[name].read_bytes()
        # Lengths go in as well: no two trees of files run into the same stream of bytes.
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


@cache
def code_digest() -> str:
    """``digest_of`` the library, once in a process: files that change later are not the code that runs."""
    return digest_of(PACKAGE)
