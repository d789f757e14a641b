"""Schedules as marked blocks in the user's crontab. All other lines stay as they are, to the byte."""

import os
import shutil
import subprocess

from expunge.errors import ExpungeError
from expunge.schedule.schedules import MARK, Facts, Schedule, check_folder, read_mark
from expunge.schedule.timing import machine_zone

PLACE = "crontab"


def is_here() -> bool:
    """Whether this machine has a crontab command."""
    return shutil.which("crontab") is not None


def installed() -> list[Facts]:
    """Every schedule in the user's crontab. Raises ExpungeError if it cannot be read or a block was changed."""
    return [read_mark(line, PLACE) for line in _read().splitlines() if line.startswith(MARK)]


def install(schedule: Schedule) -> None:
    """Write a schedule's block, in place of one of the same name. Doing it again changes nothing.

    Raises:
        ExpungeError: there is no crontab command, cron runs by another zone, a schedule of that name belongs to another
            folder, or the crontab command refuses the line. Nothing was changed then.
    """
    if not is_here():
        raise ExpungeError(
            "crontab: is not on this machine; install cron (Debian: apt install cron) or give --systemd."
        )
    if schedule.timing.timezone and not schedule.timing.runs_by(machine_zone()):
        raise ExpungeError(
            f"timezone: cron runs by this machine's own zone, which is not {schedule.timing.timezone}; "
            "give --systemd, which knows zones, or leave --timezone out and write the machine's times."
        )
    before = _read()
    check_folder(next((each for each in installed() if each.name == schedule.name), None), schedule)
    line = f"{schedule.timing.cron} {schedule.retraining.shell_line()}".replace("%", r"\%")  # a bare one ends the line
    block = f"{schedule.mark()}\n{line}\n{_end(schedule.name)}\n"
    kept = _without(before, schedule.name)
    schedule.make_room()
    _write(kept + ("" if kept.endswith("\n") or not kept else "\n") + block, before)


def remove(name: str) -> bool:
    """Take a schedule's block out; returns whether there was one."""
    before = _read() if is_here() else ""
    kept = _without(before, name)
    _write(kept, before)
    return kept != before


def _end(name: str) -> str:
    return f"# end of expunge-schedule {name}"


def _without(text: str, name: str) -> str:
    lines = text.splitlines(keepends=True)
    starts = [
        number
        for number, line in enumerate(lines)
        if line.startswith(MARK) and read_mark(line.rstrip("\n"), PLACE).name == name
    ]
    for start in reversed(starts):
        end = next((at for at in range(start, len(lines)) if lines[at].rstrip("\n") == _end(name)), None)
        if end is None:
            raise ExpungeError(f"crontab: the block of schedule '{name}' has no end; mend it with: crontab -e")
        del lines[start : end + 1]
    return "".join(lines)


def _read() -> str:
    done = _run("-l")
    if done.returncode:
        said = os.fsdecode(done.stderr).strip()
        if "no crontab for" in said or "not allowed to use" in said:
            return ""
        raise ExpungeError(f"crontab: {said or 'cannot be read'}; mend that, or give --systemd.")
    return os.fsdecode(done.stdout)


def _write(text: str, before: str) -> None:
    if text == before:
        return
    done = _run("-", os.fsencode(text)) if text else _run("-r")
    if done.returncode:
        said = " ".join(os.fsdecode(done.stderr).split())
        raise ExpungeError(f"crontab: refused the line, and is as it was: {said}")


def _run(argument: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    environment = os.environ | {"LC_ALL": "C"}  # its answers are read
    return subprocess.run(["crontab", argument], input=given, capture_output=True, env=environment)
