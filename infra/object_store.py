"""A real S3 server on this machine alone (SeaweedFS), for development and tests.

python -m infra.object_store --port 9000                 until it is interrupted
"""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from infra.serving import free_ports, serve, start, stop, wait_until

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
    server = start(_command((folder / "data").resolve(), ports, buckets), log, folder)
    endpoint = f"http://127.0.0.1:{ports[0]}"
    try:
        wait_until(lambda: _takes_objects(endpoint, buckets), (BotoCoreError, ClientError), server, log, 60)
        yield endpoint
    finally:
        stop(server)


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
    announcement = f"S3 at {{url}}, buckets {', '.join(BUCKETS)}; interrupt to stop"
    serve(object_store(options.folder, options.port), announcement)


if __name__ == "__main__":
    main()
