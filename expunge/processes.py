"""Several processes of one module that work on one job together: started, listened to, ended.

They meet in a folder. ``job.json`` says what is to be done; each writes what it has done as lines of ``reported.txt``,
what went wrong as a line in a file of its own; what it prints goes to ``said.txt``.
"""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from expunge.errors import ExpungeError, explained
from expunge.freed_memory import keep_freed_memory

JOB, REPORTED, SAID = "job.json", "reported.txt", "said.txt"
OFTEN = 0.1  # seconds between two looks at them


class Group:
    """Processes that were started together.

    Attributes:
        folder: where they meet.
        members: the processes.
    """

    def __init__(self, folder: Path, members: list[subprocess.Popen]) -> None:
        self.folder, self.members = folder, members

    def reports(self, grace: float = 0.0, hearsay: str = "") -> Iterator[str]:
        """Lines that they report, as they come, until all have ended.

        Args:
            grace: seconds that the others have to say what they found, once one has ended with an error.
            hearsay: a message with this in it is of a process that only heard of another's error.

        Raises:
            ExpungeError: one ended with an error; with what it said, or with the end of what all printed.
        """
        part, failed_at = "", float("inf")
        with (self.folder / REPORTED).open(encoding="utf-8") as reported:
            while True:
                running = [each for each in self.members if each.poll() is None]  # first: no line comes after it
                while line := reported.readline():
                    part += line
                    if part.endswith("\n"):
                        yield part.removesuffix("\n")
                        part = ""
                if any(each.returncode for each in self.members):
                    failed_at = min(failed_at, time.monotonic())
                if not running or time.monotonic() - failed_at >= grace:
                    break
                time.sleep(OFTEN)
        if any(each.returncode for each in self.members):
            raise ExpungeError(self._told(hearsay))

    def _told(self, hearsay: str) -> str:
        """What went wrong, in a line: of the process that found it, not of those that only heard of it."""
        lines = [each.read_text(encoding="utf-8") for each in sorted(self.folder.glob("error-*.txt"))]
        own = [line for line in lines if not hearsay or hearsay not in line] or lines
        if own:
            return own[0]
        said = (self.folder / SAID).read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return f"hardware.processes: one of them ended; the last it said was: {said[-1][:300] if said else 'nothing'}"


@contextmanager
def started(
    module: str, folder: Path, count: int, job: Mapping[str, Any], environment: Mapping[str, str] | None = None
) -> Iterator[Group]:
    """Start processes of a module; at the end of the block those that still run are ended.

    Args:
        module: run with ``python -m``; it calls ``take_part``.
        folder: where they meet.
        count: how many; each is told its number, 0 … count − 1.
        job: what they are told, as JSON takes it.
        environment: for them, beside this process's. They share the cores, unless ``OMP_NUM_THREADS`` says otherwise.
    """
    (folder / JOB).write_text(json.dumps({**job, "started_by": os.getpid()}), encoding="utf-8")
    (folder / REPORTED).touch()
    threads = max(1, (os.cpu_count() or 1) // count)
    given = {"OMP_NUM_THREADS": str(threads), **os.environ, **(environment or {})}
    group = Group(folder, [])
    with (folder / SAID).open("wb") as output:
        try:
            for number in range(count):
                command = [sys.executable, "-m", module, str(folder), str(number)]
                process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=given)
                group.members.append(process)
            yield group
        finally:
            for each in group.members:
                each.kill()
                each.wait()


def take_part(work: Callable[[Path, int, dict[str, Any]], None]) -> None:
    """Do this process's part; what goes wrong is one line in a file of its own.

    Args:
        work: given the folder, this process's number and the job.
    """
    keep_freed_memory()
    folder, number = Path(sys.argv[1]), int(sys.argv[2])
    job = json.loads((folder / JOB).read_text(encoding="utf-8"))
    threading.Thread(target=_end_with, args=(job["started_by"],), daemon=True).start()
    try:
        work(folder, number, job)
    except BaseException as error:
        if line := explained(error):
            (folder / f"error-{number}.txt").write_text(line, encoding="utf-8")
        raise


def report(folder: Path, line: str) -> None:
    """Say something to the one who started this process; one line, written at once so that no two of them mix."""
    with (folder / REPORTED).open("a", encoding="utf-8") as file:
        file.write(f"{line}\n")


def _end_with(process: int) -> None:
    """Nobody would take what comes out, and the device would stay taken."""
    while os.path.exists(f"/proc/{process}") or not os.path.isdir("/proc"):
        time.sleep(1)
    os._exit(1)
