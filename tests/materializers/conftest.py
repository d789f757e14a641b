"""Materializers in the artifact store of a ZenML of their own."""

import uuid
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def materialize(zenml_home: Path) -> Callable:
    """Makes a materializer, by its name, for a new place in the artifact store."""
    from zenml.client import Client

    import materializers

    store = Client().active_stack.artifact_store

    def make(name: str):
        uri = f"{store.path}/tests/{uuid.uuid4()}"
        store.makedirs(uri)
        return getattr(materializers, name)(uri)

    return make


def truncate(path: Path, share: float = 0.5) -> None:
    """Cut a file off, as a full disk would."""
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
