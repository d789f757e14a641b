"""Processes that work together: all are heard, one that fails ends the others with a line, none outlives its parent."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from expunge.errors import ExpungeError
from expunge.processes import Group, started

ROOT = Path(__file__).parents[1]
MODULE = "tests.part_taker"


def heard(folder: Path, *do: str, **how) -> tuple[Group, list[str]]:
    with started(MODULE, folder, len(do), {"do": do}) as group:
        return group, sorted(group.reports(**how))


def test_what_they_report_is_heard_whole(tmp_path: Path) -> None:
    assert heard(tmp_path, "report", "report")[1] == ["hello from 0", "hello from 1"]


@pytest.mark.parametrize(
    ("do", "said"),
    [
        (("wait", "refuse"), "^batch_size: too large; take less$"),
        (("wait", "die"), "^hardware.processes: one of them ended; the last it said was: nothing$"),
        (("wait", "break"), "^hardware.processes: one of them ended; the last it said was: RuntimeError: a mistake of"),
    ],
)
def test_one_that_fails_ends_the_others_with_a_line(tmp_path: Path, do: tuple[str, ...], said: str) -> None:
    begun, members = time.monotonic(), []
    with pytest.raises(ExpungeError, match=said), started(MODULE, tmp_path, 2, {"do": do}) as group:
        members += group.members
        list(group.reports())
    assert all(each.returncode is not None for each in members) and time.monotonic() - begun < 30


def test_who_found_it_is_told_and_not_who_heard_of_it(tmp_path: Path) -> None:
    with pytest.raises(ExpungeError, match="batch_size"):
        heard(tmp_path, "hear", "refuse", grace=20.0, hearsay="another one")


def test_an_error_of_the_one_who_listens_ends_them(tmp_path: Path) -> None:
    members = []
    with pytest.raises(ZeroDivisionError), started(MODULE, tmp_path, 2, {"do": ["wait", "wait"]}) as group:
        members += group.members
        for _ in group.reports():
            raise ZeroDivisionError
    assert all(each.returncode is not None for each in members)


def test_they_end_with_the_one_who_started_them(tmp_path: Path) -> None:
    """That one is killed, so it cannot end them itself."""
    starts = "import os, sys; from pathlib import Path; from expunge.processes import started\n"
    starts += f"with started('{MODULE}', Path(sys.argv[1]), 1, {{'do': ['wait']}}) as group:\n"
    starts += "    next(group.reports()); print(group.members[0].pid, flush=True); os.kill(os.getpid(), 9)"
    run = subprocess.run([sys.executable, "-c", starts, str(tmp_path)], cwd=ROOT, capture_output=True, text=True)
    child, begun = int(run.stdout), time.monotonic()
    while time.monotonic() - begun < 30 and Path(f"/proc/{child}").exists():
        if Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
            break  # ended; nobody has asked for its status
        time.sleep(0.1)
    else:
        assert not os.path.exists(f"/proc/{child}")
