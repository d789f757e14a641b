"""The simulation of a long history, at a size that takes a second: what it makes is what Expunge reads."""

from datetime import timedelta
from pathlib import Path

from benchmarks.scale import MODEL, OPERATIONS, fill, logs, one_size
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
    assert crowning is not None and crowning.version == 12 and len(box.champions.covered_by(12)) == 40
    assert len(Inbox(open_store(tmp_path), "model-2").champions.covered_by(12)) == 13


def test_every_operation_is_measured_and_none_is_refused(tmp_path: Path) -> None:
    found = dict(one_size(tmp_path / "inbox", 40, 4, 3))
    assert set(OPERATIONS) | {"champions of 3 models"} <= set(found)
    assert {each.problem for each in found.values()} == {""} and not (tmp_path / "inbox").exists()


def test_a_log_of_its_own_is_measured_too(tmp_path: Path) -> None:
    (found,) = logs(tmp_path / "log", [500])
    assert found[0] == 500 and found[1] < 0.001 and found[2].problem == found[3].problem == ""
    assert not (tmp_path / "log").exists()
