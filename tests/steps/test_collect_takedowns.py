"""Claiming what is pending: nothing is claimed or rejected for a world that cannot be read."""

from pathlib import Path

import pytest

from expunge.errors import ExpungeError
from expunge.takedown.inbox import Inbox
from expunge.takedown.object_store import open_store
from steps.collect_takedowns import collect_takedowns


@pytest.mark.parametrize("content", [None, "templates: [", "factors: {}", "a: " + "[" * 5000])
def test_a_world_that_cannot_be_read_stops_the_run_first(tmp_path: Path, content: str | None) -> None:
    box = Inbox(open_store(tmp_path / "inbox"))
    box.file(kind="object", target="cat")
    box.file(kind="object", target="unicorn")
    if content is not None:
        (tmp_path / "world.yaml").write_text(content, encoding="utf-8")
    with pytest.raises(ExpungeError, match=f"^world {tmp_path / 'world.yaml'}: "):
        collect_takedowns.entrypoint(str(tmp_path / "inbox"), str(tmp_path / "world.yaml"), "m", "far-away:1:run", [])
    assert {entry.state.label for entry in box.requests()} == {"pending"}
