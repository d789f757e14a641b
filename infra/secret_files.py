"""Secrets in files that nobody else can read: made on first use, and never printed, logged or put in an argument."""

import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path


def keep_env(path: Path, values: Mapping[str, str | Callable[[], str]]) -> dict[str, str]:
    """A file of lines ``NAME=VALUE`` with mode 0600, as a shell, systemd and ``expunge schedule`` read it.

    Args:
        path: the file; it and its folder are made if they are not there.
        values: what is to stand in it: a value, or what makes one if the file has none by that name.

    Returns:
        What stands in it now.

    Raises:
        RuntimeError: others can read it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    before = read_env(path) if path.exists() else {}
    now = {name: each if isinstance(each, str) else before.get(name) or each() for name, each in values.items()}
    if now != before:
        half = path.with_name(f".{path.name}.{os.getpid()}")
        with os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.writelines(f"{name}={value}\n" for name, value in now.items())
        half.replace(path)
    return now


def read_env(path: Path) -> dict[str, str]:
    """What stands in such a file. Raises RuntimeError if it is not there or others can read it."""
    if not path.is_file():
        raise RuntimeError(f"there is no file {path}")
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise RuntimeError(f"others can read {path}, which holds secrets: chmod 600 {path}")
    lines = path.read_text(encoding="utf-8").splitlines()
    pairs = (line.partition("=") for line in lines if line.strip() and not line.startswith("#"))
    return {name: value for name, _, value in pairs}
