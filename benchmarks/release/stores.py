"""Where an inbox of a benchmark lies."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.object_store import object_store

STORES = ("folder", "s3")


@contextmanager
def place_on(store: str, home: Path) -> Iterator[str]:
    """A new place on one of ``STORES``: below ``home``, or in a bucket of a server of its own."""
    if store == "folder":
        yield str(home / "inboxes")
        return
    os.environ |= {
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "only-here",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    with object_store(home / "server") as endpoint:
        os.environ["AWS_ENDPOINT_URL"] = endpoint
        yield "s3://expunge/inboxes"
