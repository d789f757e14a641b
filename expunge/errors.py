"""Errors that a user can act on, and how those of the systems below become one line."""

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from errno import EACCES, EDQUOT, EIO, ELOOP, EMFILE, ENAMETOOLONG, ENOSPC, ENOTDIR, EPERM, EROFS, ETXTBSY
from typing import TypeVar

T = TypeVar("T")


class ExpungeError(ValueError):
    """Something the user can mend: the message names what was given, what is allowed and what to do.

    The command line prints the message alone, without a traceback.
    """


class UnsupportedError(ExpungeError):
    """What was asked for does not exist for models of this family; what else there is to do can go on."""


def present(known: T | None, missing: str) -> T:
    """What is known.

    Raises:
        ExpungeError: it is None; the message is ``missing``.
    """
    if known is None:
        raise ExpungeError(missing)
    return known


@dataclass(frozen=True)
class Remedy:
    """What to do about an error of a system below.

    Attributes:
        kind: the error's class with its module, or one that it derives from. A name, so that nothing is imported
            to ask; the module may be given in part (``mlflow`` for ``mlflow.exceptions``).
        thing: what it is about.
        advice: what to do.
        says: the error must hold this, a regular expression without regard to case.
        numbers: of an OSError, if only some are meant.
    """

    kind: str
    thing: str
    advice: str
    says: str = ""
    numbers: Collection[int] = ()

    def fits(self, error: BaseException) -> bool:
        """Whether this is about ``error``."""
        package, _, name = self.kind.rpartition(".")
        return (
            any(
                each.__name__ == name and f"{each.__module__}.".startswith(f"{package}.")
                for each in type(error).__mro__
            )
            and bool(re.search(self.says, str(error), re.IGNORECASE))
            and (not self.numbers or getattr(error, "errno", None) in self.numbers)
        )


DATABASE = "check MLFLOW_TRACKING_URI, or ZENML_CONFIG_PATH for ZenML's own"
LESS = "draw or train fewer pictures at once; `expunge doctor` says what would fit"
NO_ROOM, NO_WAY = {ENOSPC, EDQUOT}, {EACCES, EIO, ELOOP, EMFILE, ENOTDIR, EPERM, EROFS, ETXTBSY}

# The first that fits is told. Errors of Python itself that a mistake of ours can raise as well stay tracebacks.
REMEDIES = (
    Remedy("sqlalchemy.SQLAlchemyError", "database", "another process holds it: let that end first", "locked"),
    Remedy("sqlalchemy.SQLAlchemyError", "database", "its disk is full: make room there", "disk is full|No space left"),
    Remedy("sqlalchemy.SQLAlchemyError", "database", DATABASE),
    Remedy("sqlite3.Error", "database", DATABASE),
    Remedy("mlflow.MlflowException", "MLflow", "check MLFLOW_TRACKING_URI; files that it misses may have been moved"),
    Remedy("zenml.AuthorizationException", "ZenML", "log in to it again, or give pods its new key in their secret"),
    Remedy("botocore.NoCredentialsError", "object store", "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
    Remedy("botocore.BotoCoreError", "object store", "check AWS_ENDPOINT_URL, the region and the credentials"),
    Remedy("botocore.ClientError", "object store", "check the bucket's name and what the credentials allow"),
    Remedy("requests.RequestException", "network", "check the address, and that its server is up"),
    Remedy("torch.OutOfMemoryError", "device", f"{LESS}; on another device: --device cpu"),
    Remedy("builtins.MemoryError", "memory", f"{LESS}, or end what else runs here"),
    Remedy("builtins.RuntimeError", "home folder", "set HOME, or give a path without ~", "home directory"),
    Remedy("safetensors.SafetensorError", "file system", "make room there", "No space left|quota"),
    Remedy("builtins.OSError", "file system", "give a shorter path", numbers={ENAMETOOLONG}),
    Remedy("builtins.OSError", "file system", "make room there", numbers=NO_ROOM),
    Remedy("builtins.OSError", "file system", "make it accessible, or give another path", numbers=NO_WAY),
)


def explained(error: BaseException) -> str:
    """One line that names the thing and the remedy; empty for what is no user's to mend, such as our own mistakes.

    An ExpungeError counts wherever in the chain it stands, what a system says only if it was raised or named as cause.
    """
    for each in _chain(error, lambda link: link.__cause__ or link.__context__):
        if isinstance(each, ExpungeError):
            return str(each)
    for each in _chain(error, lambda link: link.__cause__):
        for remedy in REMEDIES:
            if remedy.fits(each):
                return f"{remedy.thing}: {_said(each)}; {remedy.advice}"
    return ""


def _chain(
    error: BaseException | None, following: Callable[[BaseException], BaseException | None]
) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = following(error)


def _said(error: BaseException) -> str:
    """What a system says, in a line: without the statement it was doing, without passwords, not endless."""
    if isinstance(error, OSError) and error.strerror:
        name = "" if error.filename is None else f"'{_short(str(error.filename), 100)}': "
        return name + error.strerror
    said = str(getattr(error, "orig", None) or getattr(error, "message", None) or error)
    line = next((line.strip() for line in said.splitlines() if line.strip()), type(error).__name__)
    return _short(re.sub(r"(://[^:@/\s]*):[^@\s]*@", r"\1:***@", line), 300).rstrip(".;: ")


def _short(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[:limit]}…"
