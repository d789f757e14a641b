"""What a schedule starts: ``expunge retrain`` from a project's folder, without a secret in the line."""

import re
import shutil
import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from expunge.errors import ExpungeError

STATE = ".expunge"
LOG, LOCK = f"{STATE}/retrain.log", f"{STATE}/retrain.lock"
# What a shell and systemd read alike, and in which nothing is run or replaced.
ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=(?:[\w./:@%+,=-]*|'[^'\\]*')", re.ASCII)


@dataclass(frozen=True)
class Retraining:
    """A command to be started without a terminal; see ``plan_retraining``. All paths are absolute.

    Attributes:
        folder: where it runs; its output goes to ``.expunge/retrain.log`` there.
        program: the ``expunge`` of this Python.
        config: handed on to ``expunge retrain``.
        env_file: read when it starts: lines ``NAME=VALUE`` with addresses and credentials.
    """

    folder: Path
    program: Path
    config: Path | None = None
    env_file: Path | None = None

    @property
    def arguments(self) -> list[str]:
        """The command, word by word."""
        return [str(self.program), "retrain", *(["--config", str(self.config)] if self.config else [])]

    def shell_line(self) -> str:
        """The command for a shell. It does nothing while the run before it goes on.

        Raises:
            ExpungeError: there is no ``flock``, which sees to that.
        """
        flock = shutil.which("flock")
        if flock is None:
            raise ExpungeError("flock: is not on this machine; install util-linux, or give --systemd.")
        command = " ".join(map(quote, [flock, "-n", "-o", "-E", "0", LOCK, *self.arguments]))
        given = f"set -a; . {quote(str(self.env_file))}; set +a; " if self.env_file else ""
        return f"cd {quote(str(self.folder))} && {{ {given}exec {command}; }} >> {LOG} 2>&1"


def plan_retraining(folder: Path, config: Path | None = None, env_file: Path | None = None) -> Retraining:
    """Check what a schedule is to start. Nothing is written.

    Raises:
        ExpungeError: one of the files is not there, the environment's file can be read by others or says more than
            names and values, a path has a line break, or this Python has no ``expunge``.
    """
    program = Path(sys.executable).with_name("expunge")
    if not program.is_file():
        raise ExpungeError(f"expunge: there is no {program}; install the project into this Python (make setup).")
    planned = Retraining(
        folder.resolve(), program, config.resolve() if config else None, env_file.resolve() if env_file else None
    )
    if planned.config and not planned.config.is_file():
        raise ExpungeError(f"config: there is no file {planned.config}.")
    if planned.env_file:
        _check_env_file(planned.env_file)
    for path in (planned.folder, program, planned.config, planned.env_file):
        if path and not str(path).isprintable():
            raise ExpungeError(f"path {str(path)!r}: has a line break or another sign that no schedule can hold.")
    return planned


def _check_env_file(path: Path) -> None:
    if not path.is_file():
        raise ExpungeError(f"env-file: there is no file {path}.")
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise ExpungeError(f"env-file: others can read {path}, which may hold secrets: chmod 600 {quote(str(path))}")
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.strip() and not line.startswith("#") and not ASSIGNMENT.fullmatch(line):
            raise ExpungeError(  # never the line itself: it may be a secret
                f"env-file: line {number} of {path} is not NAME=VALUE; put a value with other signs than letters, "
                "digits and _ . / : @ % + , = - into single quotes."
            )
