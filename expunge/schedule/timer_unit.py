"""Schedules as timers of the user's systemd: one unit that says when, one that says what."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from expunge.errors import ExpungeError
from expunge.schedule.retraining import LOG, Retraining
from expunge.schedule.schedules import MARK, Facts, Schedule, check_folder, read_mark

PLACE = "systemd"


def installed() -> list[Facts]:
    """Every schedule among the user's units. Raises ExpungeError if one was changed by hand."""
    timers = sorted(_units().glob("expunge-*.timer"))
    firsts = [(timer, timer.read_text(encoding="utf-8").partition("\n")[0]) for timer in timers]
    return [read_mark(line, str(timer)) for timer, line in firsts if line.startswith(MARK)]


def install(schedule: Schedule) -> bool:
    """Write and enable a schedule's units, in place of those of the same name. Doing it again changes nothing.

    Returns:
        Whether the user's systemd runs and the timer with it. If not, it does from the user's next login on.

    Raises:
        ExpungeError: there is no systemd, it refuses the units, or a schedule of that name belongs to another folder.
            Nothing was changed then.
    """
    if missing := [each for each in ("systemd-analyze", "systemctl") if shutil.which(each) is None]:
        raise ExpungeError(f"{missing[0]}: is not on this machine; leave --systemd out to use cron.")
    check_folder(next((each for each in installed() if each.name == schedule.name), None), schedule)
    units = {
        f"expunge-{schedule.name}.service": _service(schedule.name, schedule.retraining),
        f"expunge-{schedule.name}.timer": _timer(schedule),
    }
    for calendar in schedule.timing.calendars():
        _checked("systemd-analyze", "calendar", calendar)
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / name for name in units]
        for path, text in zip(paths, units.values(), strict=True):
            path.write_text(text, encoding="utf-8")
        runtime = os.environ.get("XDG_RUNTIME_DIR") or folder  # verify wants one, and makes nothing there
        _checked("systemd-analyze", "verify", "--user", *map(str, paths), XDG_RUNTIME_DIR=runtime)
    schedule.make_room()
    _units().mkdir(parents=True, exist_ok=True)
    for name, text in units.items():
        half = _units() / f".{name}"
        half.write_text(text, encoding="utf-8")
        half.replace(_units() / name)
    runs = _is_running()
    timer = f"expunge-{schedule.name}.timer"
    _checked("systemctl", "--user", "enable", timer)
    if runs:
        _checked("systemctl", "--user", "restart", timer)
    return runs


def remove(name: str) -> bool:
    """Stop a schedule's timer and take its units away; returns whether there was one."""
    if name not in [each.name for each in installed()]:
        return False
    now = ["--now"] if _is_running() else []
    _checked("systemctl", "--user", "disable", *now, f"expunge-{name}.timer")
    for ending in ("timer", "service"):
        (_units() / f"expunge-{name}.{ending}").unlink(missing_ok=True)
    _is_running()
    return True


def _is_running() -> bool:
    """Whether the user's systemd runs; it reads its units anew then."""
    return subprocess.run(["systemctl", "--user", "daemon-reload"], capture_output=True).returncode == 0


def _units() -> Path:
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "systemd" / "user"


def _service(name: str, retraining: Retraining) -> str:
    given = f"EnvironmentFile={_verbatim(str(retraining.env_file))}\n" if retraining.env_file else ""
    folder = _verbatim(str(retraining.folder))
    return (
        f"[Unit]\nDescription=Expunge retrains on new takedown requests ({name})\n\n"
        "[Service]\nType=oneshot\n"  # is not started again while it runs
        f"WorkingDirectory={folder}\n{given}"
        f"ExecStart={' '.join(map(_word, retraining.arguments))}\n"
        f"StandardOutput=append:{folder}/{LOG}\nStandardError=inherit\n"
    )


def _timer(schedule: Schedule) -> str:
    times = "".join(f"OnCalendar={calendar}\n" for calendar in schedule.timing.calendars())
    return (
        f"{schedule.mark()}\n[Unit]\nDescription=When Expunge retrains ({schedule.name})\n\n"
        f"[Timer]\n{times}Persistent=true\n\n[Install]\nWantedBy=timers.target\n"
    )


def _verbatim(text: str) -> str:
    """A setting's value in which nothing is replaced."""
    return text.replace("%", "%%")


def _word(text: str) -> str:
    """A word of a command line in which nothing is replaced."""
    escaped = _verbatim(text).replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$")
    return f'"{escaped}"'


def _checked(*command: str, **environment: str) -> None:
    done = subprocess.run(command, capture_output=True, encoding="utf-8", env=os.environ | environment)
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).split())[:400]
        raise ExpungeError(f"{command[0]}: {said}; check the paths and times of the schedule.")
