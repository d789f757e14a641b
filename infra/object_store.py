"""A real S3 server on this machine alone (SeaweedFS), for development and tests.

python -m infra.object_store --port 9000                 until it is interrupted
"""

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

BUCKETS = ("expunge", "zenml", "mlflow")
SERVERS = ("s3", "master", "filer", "volume")
FOLDER = Path(".expunge/object-store")


@contextmanager
def object_store(folder: Path, port: int = 0, buckets: Sequence[str] = BUCKETS) -> Iterator[str]:
    """Start the server, yield its endpoint URL, stop it.

    ``AWS_ACCESS_KEY_ID`` and ``AWS_SECRET_ACCESS_KEY`` in the environment become its administrator.

    Args:
        folder: where it keeps its data and ``log``.
        port: to listen on; 0 for one that is free.
        buckets: made if they are not there.

    Raises:
        RuntimeError: no credentials in the environment, or the server ended before it answered.
        TimeoutError: it does not answer.
    """
    if missing := [name for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY") if not os.environ.get(name)]:
        raise RuntimeError(f"{missing[0]} is not set: export it, it becomes the server's administrator")
    ports = free_ports(2 * len(SERVERS))
    ports[0] = port or ports[0]
    (folder / "data").mkdir(parents=True, exist_ok=True)
    log = folder / "log"
    with log.open("ab") as stream:
        server = subprocess.Popen(
            _command((folder / "data").resolve(), ports, buckets),
            stdout=stream,
            stderr=stream,
            cwd=folder,
            start_new_session=True,
        )
    endpoint = f"http://127.0.0.1:{ports[0]}"
    try:
        wait_until(lambda: _takes_objects(endpoint, buckets), (BotoCoreError, ClientError), server, log, 60)
        yield endpoint
    finally:
        stop(server)


def stop(server: subprocess.Popen) -> None:
    """End a server that was started in a session of its own, with all that it started."""
    if server.poll() is not None:
        return
    os.killpg(server.pid, signal.SIGTERM)
    try:
        server.wait(10)
    except subprocess.TimeoutExpired:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait(10)


def free_ports(count: int) -> list[int]:
    """Ports that nothing listens on now, all different."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def _command(data: Path, ports: Sequence[int], buckets: Sequence[str]) -> list[str]:
    half = len(SERVERS)
    flags = [f"-{name}.port={port}" for name, port in zip(SERVERS, ports[:half], strict=True)]
    flags += [f"-{name}.port.grpc={port}" for name, port in zip(SERVERS, ports[half:], strict=True)]
    # On by default: more servers than are needed, usage statistics, and pages of any origin as clients.
    closed = [
        "-webdav=false",
        "-admin.ui=false",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-master.telemetry=false",
    ]
    origins = [f"-{name}.allowedOrigins=http://127.0.0.1" for name in ("s3", "filer")]
    here = ["-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={data}", f"-bucket={','.join(buckets)}"]
    return [str(Path(sys.executable).with_name("weed")), "mini", *here, *flags, *closed, *origins]


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
            raise TimeoutError(f"no answer after {seconds} s: {log.read_text()[-2000:]}") from problem
        if server.poll() is not None:
            raise RuntimeError(f"the server ended with {server.returncode}: {log.read_text()[-2000:]}")
        time.sleep(0.1)


def _takes_objects(endpoint: str, buckets: Sequence[str]) -> bool:
    config = Config(connect_timeout=1, read_timeout=2, retries={"total_max_attempts": 1})
    client = boto3.client("s3", endpoint_url=endpoint, config=config)
    if not {bucket["Name"] for bucket in client.list_buckets()["Buckets"]} >= set(buckets):
        return False
    client.put_object(Bucket=buckets[0], Key="ready", Body=b"")
    client.delete_object(Bucket=buckets[0], Key="ready")
    return True


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description="A real S3 server on this machine alone.")
    parser.add_argument("--port", type=int, default=9000)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    options = parser.parse_args()
    with object_store(options.folder, options.port) as endpoint:
        print(f"S3 at {endpoint}, buckets {', '.join(BUCKETS)}; interrupt to stop")
        signal.sigwait([signal.SIGINT, signal.SIGTERM])


if __name__ == "__main__":
    main()
