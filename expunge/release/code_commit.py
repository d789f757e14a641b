"""Which code ran: the commit of the library's own checkout, else its version and a hash of its files."""

import os
import subprocess
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from pathlib import Path

from expunge.code_digest import PACKAGE, digest_of


def code_commit(package: Path = PACKAGE) -> str:
    """The commit of the package's own checkout, with ``+changes`` if files differ from it.

    Git finds a repository wherever it looks: one that surrounds an installed copy, or one that a hook's environment
    names. Only that counts whose tracked files at its top are this package. Where there is none, it is the installed
    version and the SHA-256 of the code.
    """
    root = package.parent
    try:
        if Path(_git(root, "rev-parse", "--show-toplevel")).resolve() != root.resolve():
            return _version(package)
        _git(root, "ls-files", "--error-unmatch", f"{package.name}/__init__.py")
        commit = _git(root, "rev-parse", "HEAD")
        status = _git(root, "status", "--porcelain", "--untracked-files=all").splitlines()
    except (OSError, subprocess.CalledProcessError):
        return _version(package)
    # A new file elsewhere changes nothing that runs; a new module of the package may.
    changed = [line for line in status if not line.startswith("??") or line[3:].strip('"').startswith(package.name)]
    return f"{commit}+changes" if changed else commit


def _git(root: Path, *command: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    done = subprocess.run(
        ["git", "-C", str(root), *command], env=environment, capture_output=True, encoding="utf-8", check=True
    )
    return done.stdout.rstrip("\n")


def _version(package: Path) -> str:
    try:
        known = installed_version("expunge")
    except PackageNotFoundError:
        known = "without a version"
    return f"expunge {known}, SHA-256 of its code {digest_of(package)}"
