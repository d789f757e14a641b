"""The main job while a store fails in the middle of it: it heals, or stops safely with one line and is done again.

The whole table of steps, stores and faults is made by ``benchmarks/release/outages.py``.
"""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.infra.faulty_proxy import Fault, FaultyProxy
from tests.infra.outage import Job, failing, full, killed, servers, small_disk

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def proxies(
    s3_server: str, zenml_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, FaultyProxy]]:
    with servers(s3_server, tmp_path_factory.mktemp("mlflow")) as proxies:
        yield proxies


@pytest.mark.parametrize(
    ("step", "store", "fault"),
    [
        ("unlearn", "mlflow", Fault.GONE),
        ("register_model", "mlflow", Fault.ERRORS),
        ("settle_version", "s3", Fault.UNANSWERED),
    ],
)
def test_a_run_outlives_a_store(proxies: dict[str, FaultyProxy], tmp_path: Path, step: str, store: str, fault) -> None:
    job = Job.prepare(tmp_path / "job", f"s3://expunge/outages/{step}", f"outage-{step}")
    ended = job.run(step, failing(proxies[store], fault), seconds=10)
    assert ended.status == 0, ended.said
    assert job.problems() == []


def test_a_run_that_is_killed_is_ended_by_the_next(proxies: dict[str, FaultyProxy], tmp_path: Path) -> None:
    job = Job.prepare(tmp_path / "job", "s3://expunge/outages/killed", "outage-killed")
    assert job.run("settle_version", killed(job)).status == -signal.SIGKILL
    again = job.run()
    assert again.status == 0, again.said
    assert job.problems() == [] and "Step unlearn has started" not in again.said


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a disk that is small enough to be filled")
def test_a_full_disk_stops_a_run_and_the_next_one_ends_it(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        job = Job.prepare(disk / "job", "inbox", "full-disk")
        ended = job.run("register_model", full(disk))
        assert ended.status != 0 and ended.line.startswith("Error: "), ended.said
        assert any(words in ended.line for words in ("disk is full", "No space left")), ended.said
        again = job.run()
        assert again.status == 0, again.said
        assert job.problems() == []
