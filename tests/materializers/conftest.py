"""Materializers in the artifact store of a ZenML of their own."""

import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


@pytest.fixture
def materialize(zenml_home: Path) -> Iterator[Callable]:
    """Makes a materializer, by its name, for a new place in the artifact store; what it wrote goes with the test."""
    from zenml.client import Client

    import materializers

    store = Client().active_stack.artifact_store
    place = f"{store.path}/tests"

    def make(name: str):
        uri = f"{place}/{uuid.uuid4()}"
        store.makedirs(uri)
        return getattr(materializers, name)(uri)

    yield make
    shutil.rmtree(place, ignore_errors=True)  # a test may have made none


def truncate(path: Path, share: float = 0.5) -> None:
    """Cut a file off, as a full disk would."""
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
