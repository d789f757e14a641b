"""Servers as child processes: they end when they are told to, and when whoever started them is gone.

Run as a program this file is a server's keeper. It holds the reading end of a pipe to the process that started it; when
that process ends, in whatever way, the pipe closes and the keeper ends the server with all that it started in turn.
"""

import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from types import FrameType

ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
GRACE = 10.0  # seconds between asking a server to end and ending it


def start(
    command: Sequence[str],
    log: Path,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    ending: signal.Signals = signal.SIGTERM,
) -> subprocess.Popen:
    """Start a server under a keeper. What is returned is the keeper: it ends with the server, and with its status.

    Args:
        command: program and arguments.
        log: what it prints is appended there.
        folder: its working folder, if not this process's own.
        environment: instead of this process's own.
        ending: how the server is asked to end.
    """
    with log.open("ab") as stream:
        return subprocess.Popen(
            [sys.executable, "-P", str(Path(__file__).resolve()), str(int(ending)), *command],
            stdin=subprocess.PIPE,
            stdout=stream,
            stderr=stream,
            cwd=folder,
            env=environment,
            start_new_session=True,  # an interrupt on the terminal is ours to hand on
        )


def stop(keeper: subprocess.Popen) -> None:
    """End a server that ``start`` started."""
    if keeper.stdin is not None:
        keeper.stdin.close()
    keeper.wait(GRACE + 5)


def serve(server: AbstractContextManager[str], announcement: str) -> None:
    """Run a server until this process is interrupted or told to end; then it is stopped in good order.

    Args:
        server: yields its URL when it answers.
        announcement: printed then, with ``{url}`` in it.
    """
    for number in ENDINGS:
        if signal.getsignal(number) != signal.SIG_IGN:  # as nohup, or a shell for what runs behind, asks for
            signal.signal(number, _end)
    try:
        with server as url:
            print(announcement.format(url=url), flush=True)
            while True:
                signal.pause()
    except (RuntimeError, TimeoutError) as error:
        sys.exit(f"Error: {error}")


def _end(number: int, frame: FrameType | None) -> None:
    for each in ENDINGS:  # the server is being stopped: let nobody interrupt that
        signal.signal(each, signal.SIG_IGN)
    sys.exit(0)


def wait_until(
    answers: Callable[[], bool],
    errors: tuple[type[Exception], ...],
    server: subprocess.Popen,
    log: Path,
    seconds: float,
) -> None:
    """Ask a server that was just started until it answers.

    Args:
        answers: whether it does; called again and again.
        errors: what it raises as long as the server does not.
        server: given up on when it ends.
        log: its end is shown then.
        seconds: given up on after so many.

    Raises:
        RuntimeError: the server ended.
        TimeoutError: it does not answer.
    """
    until = time.monotonic() + seconds
    problem: Exception | None = None
    while True:
        try:
            if answers():
                return
        except errors as error:
            problem = error
        if time.monotonic() > until:
            raise TimeoutError(f"no answer after {seconds} s: {_end_of(log)}") from problem
        if server.poll() is not None:
            raise RuntimeError(f"the server ended with {server.returncode}: {_end_of(log)}")
        time.sleep(0.1)


def _end_of(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")[-2000:]


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nothing listens on now, all different."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def keep(ending: int, command: Sequence[str]) -> int:
    """Run a server until it ends or standard input closes, then ask it to end by a signal; its exit status."""
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    while server.poll() is None and not select.select([sys.stdin], [], [], 0.1)[0]:
        pass
    for number in (ending, signal.SIGKILL):  # the second one for what the server left behind as well
        with suppress(ProcessLookupError):
            os.killpg(server.pid, number)
        with suppress(subprocess.TimeoutExpired):
            server.wait(GRACE)
    return server.returncode


if __name__ == "__main__":
    sys.exit(keep(int(sys.argv[1]), sys.argv[2:]))
