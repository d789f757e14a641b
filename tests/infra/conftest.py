"""Servers with login that several tests use."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from infra.secret_files import read_env
from infra.services import services

ACCOUNTS = ("admin", "runner", "reader")


@dataclass(frozen=True)
class Guarded:
    """PostgreSQL and MLflow with login."""

    folder: Path
    url: str

    def account(self, name: str) -> Path:
        """The file to log in by."""
        return self.folder / "accounts" / f"{name}.env"

    def environment(self, name: str) -> dict[str, str]:
        """This process's own, logged in."""
        return os.environ | read_env(self.account(name))


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """The services, running."""
    folder = tmp_path_factory.mktemp("services")
    with services(folder, str(folder / "artifacts")) as url:
        yield Guarded(folder, url)
