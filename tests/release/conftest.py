"""The made run and the strict reader of pages, as for reports, and a signed release of a tiny model."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.reports.conftest import parts_fixture, read_page_fixture

__all__ = ["parts_fixture", "read_page_fixture"]


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model's folder, not to be changed."""
    from tests.tiny import make_tiny_pipeline  # torch and diffusers, which few of these tests need

    return make_tiny_pipeline(tmp_path_factory.mktemp("tiny") / "model")


@pytest.fixture(scope="session")
def signed_once(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory):
    """A signed release, not to be changed; its keys were made on first use."""
    from tests.release.made_release import make_release

    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("EXPUNGE_SIGNING_KEY", raising=False)
        patch.delenv("EXPUNGE_MODEL_SIGNING_KEY", raising=False)
        return make_release(tmp_path_factory.mktemp("release"), tiny_folder)


@pytest.fixture
def release(signed_once) -> Iterator:
    """The signed release, with every file put back afterwards."""
    folders = (signed_once.certificate.parent, signed_once.model)
    before = {path: path.read_bytes() for folder in folders for path in folder.rglob("*") if path.is_file()}
    yield signed_once
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_symlink() or (path.is_file() and path not in before):
                path.unlink()
    for path, content in before.items():
        if not path.exists() or path.read_bytes() != content:
            path.write_bytes(content)
