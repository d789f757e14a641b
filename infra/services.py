"""PostgreSQL and an MLflow server with login on it, in one command; accounts in ``.expunge/services/accounts``.

python -m infra.services --port 5000 --artifacts s3://mlflow                 until it is interrupted
"""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.database import database
from infra.serving import serve
from infra.tracking_server import tracking_server

FOLDER = Path(".expunge/services")


@contextmanager
def services(folder: Path, artifacts: str, port: int = 0) -> Iterator[str]:
    """Start both, yield the tracking server's URL, stop both.

    Args:
        folder: what they keep, with ``accounts`` in it.
        artifacts: where models and reports go: a folder or ``s3://BUCKET``.
        port: of the tracking server, at 127.0.0.1; 0 for one that is free.

    Raises:
        RuntimeError: one of them ended before it answered.
        TimeoutError: one of them does not answer.
    """
    with (
        database(folder / "database") as address,
        tracking_server(folder / "tracking-server", artifacts, port, address, folder / "accounts") as url,
    ):
        yield url


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description="PostgreSQL, and MLflow with login, on this machine alone.")
    parser.add_argument("--port", type=int, default=5000)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--artifacts", help="a folder or s3://BUCKET [default: a folder beside the database]")
    options = parser.parse_args()
    artifacts = options.artifacts or str((options.folder / "artifacts").resolve())
    announcement = f"MLflow at {{url}}, accounts in {options.folder / 'accounts'}; interrupt to stop"
    serve(services(options.folder, artifacts, options.port), announcement)


if __name__ == "__main__":
    main()
