"""Where an inbox keeps its objects: a folder or a prefix of an S3 bucket, behind one small protocol."""

import unicodedata
from datetime import datetime
from pathlib import Path
from typing import Protocol

from expunge.errors import ExpungeError


class AlreadyExists(ExpungeError):
    """``create`` found an object under that key."""


class MissingKey(ExpungeError):
    """There is no object under that key."""


class StoreUnreachable(ExpungeError):
    """The place itself does not answer, which says nothing about any object in it."""


class Store(Protocol):
    """Objects under keys such as ``style-noto.yaml`` or ``style-noto/one.png``.

    Every method raises StoreUnreachable when the place does not answer, and ExpungeError for a key that is
    not allowed.
    """

    def list(self, prefix: str = "", deep: bool = True) -> list[str]:
        """All keys that begin with ``prefix``, sorted; unless ``deep``, only those without a ``/`` after it."""
        ...

    def stamps(self, prefix: str = "", deep: bool = True) -> dict[str, str]:
        """The same keys, in that order, each with a stamp that is another one once the object was written again.

        It is empty where that cannot be told, as of a file that was written in this very moment.
        """
        ...

    def read(self, key: str, limit: int) -> bytes:
        """The object's bytes.

        Raises:
            MissingKey: there is none.
            ExpungeError: it has more than ``limit`` bytes; nothing beyond them was read.
        """
        ...

    def modified(self, key: str) -> datetime:
        """When the object was written, in UTC, to the second. Raises MissingKey."""
        ...

    def create(self, key: str, data: bytes) -> None:
        """Write a new object, whole or not at all; of several writers exactly one succeeds.

        Raises:
            AlreadyExists: an object lies there already.
        """
        ...

    def replace(self, key: str, data: bytes) -> None:
        """Write an object over whatever lies there; readers see the old or the new one, never a part."""
        ...

    def delete(self, key: str) -> None:
        """Take an object away; one that is not there is as good."""
        ...


def check_key(key: str) -> str:
    """Return the key if it is relative, plain and cannot climb out of the store.

    Raises:
        ExpungeError: it is empty or too long, or a part of it is empty, ``.``, ``..`` or holds ``\\`` or a
            control character.
    """
    parts = key.split("/")
    for part in parts:
        odd = any(character == "\\" or unicodedata.category(character) in ("Cc", "Cs") for character in part)
        if part in ("", ".", "..") or odd or len(part.encode(errors="replace")) > 200:
            raise ExpungeError(f"key {key[:80]!r}: must be plain names of at most 200 bytes, joined by '/'")
    if len(key.encode()) > 800:
        raise ExpungeError(f"key {key[:80]!r}…: has {len(key.encode())} bytes; at most 800 are allowed")
    return key


def too_large(key: str, limit: int) -> ExpungeError:
    """The error of reading an object of more than ``limit`` bytes."""
    return ExpungeError(f"'{key}' has more than the {limit:,} bytes that are allowed")


def open_store(place: str | Path) -> Store:
    """The store at a folder's path or an ``s3://bucket/prefix`` URL.

    Raises:
        ExpungeError: it is empty, or a URL of another scheme or without a bucket.
    """
    text = str(place)
    if not text.strip():
        raise ExpungeError("inbox: is empty; give a folder or s3://BUCKET/PREFIX")
    if text.startswith("s3://"):
        from expunge.takedown.s3_store import S3Store  # boto3 takes half a second to import

        return S3Store(text)
    if "://" in text:
        raise ExpungeError(f"inbox: got '{text}'; give a folder or s3://BUCKET/PREFIX")
    from expunge.takedown.folder_store import FolderStore

    try:
        return FolderStore(Path(text).expanduser())
    except RuntimeError as error:
        raise ExpungeError(f"inbox: got '{text}'; whose home that is cannot be found, give the whole path") from error
