"""Many claimers of two hosts, some killed, some frozen: each request is closed once, and worked on again only then."""

from datetime import timedelta
from pathlib import Path

from tests.takedown.claimers import Trial, run_trial


def test_whoever_dies_each_request_is_closed_once(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    trial = Trial(
        place=str(tmp_path / "inbox"),
        logs=logs,
        requests=60,
        claimers=3,
        kills=4,
        freezes=1,
        lease=timedelta(seconds=2),
        arriving=8,
        work=0.5,
    )
    found = run_trial(trial, patience=60)
    assert found["killed"] == 4 and found["requests"] == 60
    wrong = (
        "worked on too often", "not closed exactly once", "not covered", "double crownings", "claimers that failed",
    )  # fmt: skip
    assert {name: found[name] for name in wrong} == dict.fromkeys(wrong, 0), found
