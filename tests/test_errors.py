"""What the systems below say becomes one line; what is a mistake of ours stays a traceback."""

import errno
import sqlite3
from pathlib import Path

import pytest
from botocore.exceptions import ClientError, NoCredentialsError
from safetensors import SafetensorError
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from expunge.errors import ExpungeError, explained


def raised_by(work) -> BaseException:
    with pytest.raises(Exception) as caught:
        work()
    return caught.value


def query(url: str) -> None:
    with create_engine(url, connect_args={"timeout": 0.1} if url.startswith("sqlite") else {}).connect() as connection:
        connection.execute(text("create table t (n int)"))


def test_a_database_that_is_none(tmp_path: Path) -> None:
    file = tmp_path / "mlflow.db"
    file.write_bytes(b"garbage " * 1000)
    line = explained(raised_by(lambda: query(f"sqlite:///{file}")))
    assert line == ("database: file is not a database; check MLFLOW_TRACKING_URI, or ZENML_CONFIG_PATH for ZenML's own")


def test_a_locked_database(tmp_path: Path) -> None:
    file = tmp_path / "mlflow.db"
    with sqlite3.connect(file) as holder:
        holder.execute("create table held (n int)")
        holder.execute("begin exclusive")
        line = explained(raised_by(lambda: query(f"sqlite:///{file}")))
    assert line == "database: database is locked; another process holds it: let that end first"


def test_a_full_disk_below_weights_and_database() -> None:
    weights = SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")
    assert explained(weights).endswith("No space left on device (os error 28); make room there")
    assert explained(SafetensorError("Error while deserializing header: HeaderTooLarge")) == ""
    full = OperationalError("insert into t", {}, sqlite3.OperationalError("database or disk is full"))
    assert explained(full) == "database: database or disk is full; its disk is full: make room there"


def test_an_unknown_kind_of_database() -> None:
    error = raised_by(lambda: create_engine("nosuch://user:secret@host/db"))
    assert isinstance(error, SQLAlchemyError) and explained(error).startswith("database: Can't load plugin")


def test_mlflow_as_the_cause_of_something_else() -> None:
    from mlflow.exceptions import MlflowException

    try:
        raise MlflowException("No such artifact: 'https://me:secret@host/x'.\n  at line 3")
    except MlflowException as error:
        wrapper = RuntimeError("a step failed")
        wrapper.__cause__ = error
    line = explained(wrapper)
    assert line.startswith("MLflow: No such artifact: 'https://me:***@host/x'; check") and "\n" not in line


def test_a_login_to_zenml_that_is_over() -> None:
    from zenml.exceptions import CredentialsNotValid

    line = explained(CredentialsNotValid("access token for API key pods has expired"))
    assert line.startswith("ZenML: access token for API key pods has expired; log in to it again")


def test_the_object_store() -> None:
    assert explained(NoCredentialsError()).endswith("; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
    denied = ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "ListBuckets")
    assert "AccessDenied" in explained(denied) and "the bucket's name" in explained(denied)


def test_the_file_system(tmp_path: Path) -> None:
    long = raised_by(lambda: (tmp_path / ("a" * 300)).read_bytes())
    assert explained(long).endswith("…': File name too long; give a shorter path") and len(explained(long)) < 200
    below = tmp_path / "file"
    below.write_bytes(b"")
    assert "Not a directory; make it accessible" in explained(raised_by(lambda: (below / "x").read_bytes()))
    read_only = OSError(errno.EROFS, "Read-only file system", "/there")
    assert explained(read_only) == (
        "file system: '/there': Read-only file system; make it accessible, or give another path"
    )
    assert explained(OSError(errno.ENOSPC, "No space left on device")).endswith("make room there")


def test_an_unknown_home() -> None:
    error = raised_by(lambda: Path("~nobody-has-this-name/in").expanduser())
    assert explained(error) == "home folder: Could not determine home directory; set HOME, or give a path without ~"


@pytest.mark.parametrize(
    "work", [lambda: 1 / 0, lambda: {}["x"], lambda: Path("/nowhere/at/all").read_bytes(), lambda: int("x")]
)
def test_what_may_be_our_mistake_stays_a_traceback(work) -> None:
    assert explained(raised_by(work)) == ""


def test_a_mistake_while_a_system_error_is_handled_is_not_hidden_by_it() -> None:
    try:
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError:
            {}["mistake"]
    except KeyError as error:
        assert explained(error) == ""


def test_what_a_user_can_mend_is_found_anywhere_in_the_chain() -> None:
    try:
        try:
            raise ExpungeError("inbox: is empty")
        finally:
            raise OSError(errno.ENOSPC, "No space left on device")
    except OSError as error:
        assert explained(error) == "inbox: is empty"
