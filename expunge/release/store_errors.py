"""What the tracking store and the systems below it answer, as one line that names the store and the remedy."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, TypeVar
from urllib.parse import unquote

from botocore.exceptions import BotoCoreError, ClientError
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from expunge.errors import ExpungeError

Method = TypeVar("Method", bound=Callable[..., Any])
# ValueError and OverflowError: for addresses and numbers that the systems below cannot read.
ANSWERS = (
    MlflowException,
    SQLAlchemyError,
    sqlite3.Error,
    BotoCoreError,
    ClientError,
    OSError,
    ImportError,
    ValueError,
    OverflowError,
)

# Words of the systems below, and what helps; the first that fits.
REMEDIES = (
    ("error code 401", "Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD as the server knows them."),
    ("error code 403", "This account may not do that: use the runner's, or have the admin allow it."),
    ("database is locked", "Another process is writing to it: let that end, then try again."),
    ("not a database", "The file is damaged or something else: put a copy back, or move it away to start anew."),
    ("malformed", "The file is damaged: put a copy back, or move it away to start anew."),
    ("readonly", "Make its folder and file writable, or set MLFLOW_TRACKING_URI to another store."),
    ("Read-only", "Make its folder writable, or set MLFLOW_TRACKING_URI to another store."),
    ("Permission denied", "Make its folder and files accessible, or set MLFLOW_TRACKING_URI to another store."),
    ("/MLmodel", "The files of this version are gone from where the store keeps them: put them back."),
    ("No module named", "Install the database's driver beside Expunge, or set MLFLOW_TRACKING_URI to another store."),
)
OTHERWISE = "Check MLFLOW_TRACKING_URI and that the server is up; without the variable a local file is used."


@contextmanager
def answering(tracking_uri: str) -> Iterator[None]:
    """Turn what the store and the systems below it raise into an ``ExpungeError``.

    Its text may repeat the address with a password in it: so that is taken out, and no traceback is chained.
    """
    try:
        yield
    except ExpungeError:
        raise
    except ANSWERS as error:
        said = _without_secrets(_said(error), tracking_uri).rstrip(".")
        remedy = next((remedy for words, remedy in REMEDIES if words in said), OTHERWISE)
        raise ExpungeError(f"tracking store {shown(tracking_uri)}: {said}. {remedy}") from None


def answered(method: Method) -> Method:
    """As ``answering``, for a method of something with a ``tracking_uri``."""

    @wraps(method)
    def wrapped(self: Any, *given: Any, **named: Any) -> Any:
        with answering(self.tracking_uri):
            return method(self, *given, **named)

    return wrapped  # type: ignore[return-value]


def shown(tracking_uri: str) -> str:
    """The address as people may see it: without user, password and options."""
    scheme, separator, rest = tracking_uri.partition("://")
    if scheme.startswith("sqlite"):
        return tracking_uri
    return f"{scheme}{separator}{rest.rpartition('@')[2].partition('?')[0]}"


def _said(error: Exception) -> str:
    """Its first line; of a database's error what the driver said, without the statement."""
    told = getattr(error, "orig", None) or error if isinstance(error, DBAPIError) else error
    text = getattr(told, "message", None) or str(told)
    return next((line.strip() for line in str(text).splitlines() if line.strip()), type(error).__name__)[:400]


def _without_secrets(said: str, tracking_uri: str) -> str:
    said = said.replace(tracking_uri, shown(tracking_uri))
    credentials = tracking_uri.partition("://")[2].rpartition("@")[0]
    password = credentials.partition(":")[2]
    for secret in (credentials, password, unquote(password)):
        # A very short one would be found inside other words, and taking it out there would give it away.
        said = said.replace(secret, "…") if len(secret) > 3 else said
    return said
