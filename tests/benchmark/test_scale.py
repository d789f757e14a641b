"""The simulation of a long history, at a size that takes a second: what it makes is what Expunge reads."""

from datetime import timedelta
from pathlib import Path

from benchmarks.scale import MODEL, OPERATIONS, crownings, fill, one_size
from expunge.takedown.inbox import Inbox
from expunge.takedown.object_store import open_store
from expunge.takedown.standing import next_runs


def test_an_inbox_that_is_made_is_one_that_expunge_reads(tmp_path: Path) -> None:
    fill(tmp_path, 40, 4, 3)
    box = Inbox(open_store(tmp_path), MODEL, lease=timedelta(days=10_000))
    labels = [each.state.label for each in box.requests()]
    assert (labels.count("fulfilled"), labels.count("pending")) == (40, 4)
    assert [len(run) for run in next_runs(box)] == [4]
    crowning = box.champions.current()
    assert crowning is not None and crowning.version == 12 and len(crowning.covers) == 40
    other = Inbox(open_store(tmp_path), "model-2").champions.current()
    assert other is not None and len(other.covers) == 13


def test_every_operation_is_measured_and_none_is_refused(tmp_path: Path) -> None:
    found = dict(one_size(tmp_path / "inbox", 40, 4, 3))
    assert set(OPERATIONS) | {"champions of 3 models"} <= set(found)
    assert {each.problem for each in found.values()} == {""} and not (tmp_path / "inbox").exists()


def test_a_crowning_that_covers_too_many_is_refused(tmp_path: Path) -> None:
    refused = {count: read.problem for count, _, read in crownings(tmp_path / "log")}
    assert refused[150_000] == "" and "more than the 4,000,000 bytes that are allowed" in refused[250_000]
