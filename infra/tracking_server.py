"""An MLflow tracking server and model registry on this machine alone, its files in an object store.

python -m infra.tracking_server --port 5000 --artifacts s3://mlflow          until it is interrupted
python -m infra.tracking_server --accounts .expunge/accounts                 with login
"""

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from infra.accounts import login_settings, make_accounts
from infra.serving import free_ports, serve, start, stop, wait_until

FOLDER = Path(".expunge/tracking-server")


@contextmanager
def tracking_server(
    folder: Path, artifacts: str, port: int = 0, database: str | None = None, accounts: Path | None = None
) -> Iterator[str]:
    """Start the server, yield its URL, stop it. It hands files through, so that clients need no credentials.

    Args:
        folder: where it keeps its ``log``, and its database if none is given.
        artifacts: where files go: a folder or ``s3://BUCKET``; ``AWS_*`` variables say how to get there.
        port: to listen on, at 127.0.0.1; 0 for one that is free.
        database: its address, without a password.
        accounts: where the files to log in by are kept; without it everybody on this machine may do everything.

    Raises:
        RuntimeError: the server ended before it answered.
        TimeoutError: it does not answer.
    """
    folder.mkdir(parents=True, exist_ok=True)
    port = port or free_ports(1)[0]
    log = folder / "log"
    environment = os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    if endpoint := os.environ.get("AWS_ENDPOINT_URL"):
        environment["MLFLOW_S3_ENDPOINT_URL"] = endpoint
    database = database or f"sqlite:///{(folder / 'mlflow.db').resolve()}"
    command = [str(Path(sys.executable).with_name("mlflow")), "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--backend-store-uri", database, "--artifacts-destination", artifacts, "--workers", "1"]
    url = f"http://127.0.0.1:{port}"
    if accounts:
        command += ["--app-name", "basic-auth"]
        environment |= login_settings(accounts, database, url)
    server = start(command, log, environment=environment)
    try:
        wait_until(lambda: _is_healthy(url), (URLError, OSError), server, log, 120)
        if accounts:
            make_accounts(accounts, url)
        yield url
    finally:
        stop(server)


def _is_healthy(url: str) -> bool:
    with urlopen(f"{url}/health", timeout=2):
        return True


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description="An MLflow tracking server on this machine alone.")
    parser.add_argument("--port", type=int, default=5000)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--artifacts", default="s3://mlflow", help="a folder or s3://BUCKET")
    parser.add_argument("--database", help="its address [default: a SQLite file]")
    parser.add_argument("--accounts", type=Path, help="a folder: with login, by the files that are made there")
    options = parser.parse_args()
    server = tracking_server(options.folder, options.artifacts, options.port, options.database, options.accounts)
    serve(server, "MLflow at {url}; interrupt to stop")


if __name__ == "__main__":
    main()
