"""Servers end with whoever started them. With real servers: SIGTERM, SIGINT and SIGKILL to ``python -m infra…``."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from infra.serving import free_ports, start, stop

ROOT = Path(__file__).parents[2]
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "tester", "AWS_SECRET_ACCESS_KEY": "only-for-tests"}
SERVER = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.{on_term})
print("child", subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]).pid, flush=True)
print("server", os.getpid(), flush=True)
{then}
"""


def is_alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False


def ends(condition, seconds: float = 30) -> bool:
    until = time.monotonic() + seconds
    while condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def pids_in(log: Path) -> list[int]:
    assert ends(lambda: log.read_text(encoding="utf-8").count("\n") < 2)
    return [int(line.split()[1]) for line in log.read_text(encoding="utf-8").splitlines()]


def server(on_term: str = "SIG_DFL", then: str = "time.sleep(600)") -> list[str]:
    return [sys.executable, "-c", SERVER.format(on_term=on_term, then=then)]


@pytest.mark.parametrize("on_term", ["SIG_DFL", "SIG_IGN"])
def test_stop_ends_a_server_and_what_it_started(tmp_path: Path, on_term: str) -> None:
    keeper = start(server(on_term), tmp_path / "log")
    pids = pids_in(tmp_path / "log")
    assert all(map(is_alive, pids))
    if on_term == "SIG_DFL":
        stop(keeper)
    else:  # as ``stop``, without waiting out the grace that a deaf server gets
        assert keeper.stdin is not None
        keeper.stdin.close()
        keeper.wait(30)
    assert ends(lambda: any(map(is_alive, pids)))


def test_a_keeper_ends_with_its_server_and_ends_what_is_left(tmp_path: Path) -> None:
    keeper = start(server(then="sys.exit(7)"), tmp_path / "log")
    assert keeper.wait(30) == 7
    assert ends(lambda: any(map(is_alive, pids_in(tmp_path / "log"))))


def test_a_server_ends_when_its_starter_is_killed(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from infra.serving import start\n"
        f"start({server()!r}, Path({str(tmp_path / 'log')!r})); time.sleep(600)"
    )
    (tmp_path / "log").touch()
    starter = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT)
    pids = pids_in(tmp_path / "log")
    starter.kill()
    starter.wait(30)
    assert ends(lambda: any(map(is_alive, pids)))


@contextmanager
def serving(module: str, *options: str) -> Iterator[tuple[subprocess.Popen, int]]:
    """``python -m MODULE`` that has announced itself, and its port."""
    (port,) = free_ports(1)
    process = subprocess.Popen(
        [sys.executable, "-m", module, "--port", str(port), *options],
        cwd=ROOT,
        env=os.environ | CREDENTIALS,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # the tests may run behind a shell
    )
    try:
        assert process.stdout is not None and f"127.0.0.1:{port}" in process.stdout.readline()
        yield process, port
    finally:
        process.kill()
        process.wait(30)


def listens(port: int) -> bool:
    with socket.socket() as attempt:
        return attempt.connect_ex(("127.0.0.1", port)) == 0


def has_processes(folder: Path) -> bool:
    """Whether a living process names the folder on its command line."""
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            named = str(folder).encode() in each.read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if named and is_alive(int(each.parent.name)):
            return True
    return False


def addresses(port: int) -> set[str]:
    """Local addresses, as /proc writes them, that something listens on at a port."""
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text(encoding="utf-8").splitlines()[1:]:
            address, number = line.split()[1].split(":")
            if int(number, 16) == port and line.split()[3] == "0A":
                found.add(address)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_the_object_store_ends_and_can_be_started_again(tmp_path: Path, number: signal.Signals) -> None:
    for _ in range(2):
        with serving("infra.object_store", "--folder", str(tmp_path)) as (process, port):
            assert addresses(port) == {"0100007F"}
            process.send_signal(number)
            assert process.wait(40) == (-number if number == signal.SIGKILL else 0)
            assert ends(lambda port=port: listens(port))
            assert ends(lambda: has_processes(tmp_path))  # a server stops listening before it lets go of its files


@pytest.mark.slow
def test_the_tracking_server_ends(tmp_path: Path) -> None:  # killed as well: see the services
    folders = ["--folder", str(tmp_path / "server"), "--artifacts", str(tmp_path / "artifacts")]
    with serving("infra.tracking_server", *folders) as (process, port):
        assert addresses(port) == {"0100007F"}
        process.send_signal(signal.SIGTERM)
        assert process.wait(40) == 0
        assert ends(lambda: listens(port))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_database_ends_and_can_be_started_again(tmp_path: Path, number: signal.Signals) -> None:
    for _ in range(2):
        with serving("infra.database", "--folder", str(tmp_path)) as (process, port):
            assert addresses(port) == {"0100007F"}
            process.send_signal(number)
            assert process.wait(40) == (-number if number == signal.SIGKILL else 0)
            assert ends(lambda port=port: listens(port))
            assert ends(lambda: has_processes(tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_services_end_together(tmp_path: Path, number: signal.Signals) -> None:
    with serving("infra.services", "--folder", str(tmp_path)) as (process, port):
        assert addresses(port) == {"0100007F"} and has_processes(tmp_path)
        process.send_signal(number)
        assert process.wait(40) == (-number if number == signal.SIGKILL else 0)
        assert ends(lambda: listens(port))
        assert ends(lambda: has_processes(tmp_path))
    # Also the database was told to end, and not killed.
    assert "database system is shut down" in (tmp_path / "database/log").read_text(encoding="utf-8")


def test_without_credentials_the_object_store_says_so(tmp_path: Path) -> None:
    bare = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    command = [sys.executable, "-m", "infra.object_store", "--folder", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, env=bare, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == "Error: AWS_ACCESS_KEY_ID is not set: export it, it becomes the server's administrator\n"
