"""What was read of many objects, kept in few: a pure cache, so that ten thousand need not be read again each time.

It holds each object's content with the object's stamp, and is believed only where the store still tells the same stamp.
It may be deleted at any time, each part is whole or not there, and of several writers the last one wins. It lies beside
the states and is checked as they are: whoever can change it can change them.
"""

import contextlib
import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from typing import Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from expunge.errors import ExpungeError
from expunge.takedown.object_store import Store, StoreUnreachable

Content = TypeVar("Content", bound=BaseModel)
_MAX_BYTES = 200_000_000  # of a part
_PART = 100_000  # objects; a state without its certificate takes some 400 bytes
# Reading one object takes about as long as writing a hundred into the index, and an inbox of so few needs none.
_WORTH_WRITING = 32


class _Stored(BaseModel, Generic[Content]):
    model_config = ConfigDict(extra="forbid", frozen=True)
    format_version: Literal[1]
    objects: dict[str, tuple[str, Content]]


class Index(Generic[Content]):
    """The contents of objects that are all of one kind.

    Args:
        store: where the objects lie, and the index.
        key: of the index: its first part lies under ``KEY.json``, the next under ``KEY-1.json``.
        kind: of the contents.
    """

    def __init__(self, store: Store, key: str, kind: type[Content]) -> None:
        self._store = store
        self._key = key
        self._stored = _Stored[kind]  # type: ignore[valid-type]

    def known(self, stamps: Mapping[str, str]) -> dict[str, Content]:
        """The contents of those objects that have not changed since the index was written, by key."""
        found: dict[str, Content] = {}
        for part in count() if len(stamps) >= _WORTH_WRITING else ():
            objects = self._read(part)
            found |= {key: content for key, (stamp, content) in objects.items() if stamp and stamps.get(key) == stamp}
            if len(objects) < _PART:
                break
        return found

    def contents(self, stamps: Mapping[str, str], read: Callable[[str], Content]) -> dict[str, Content]:
        """The contents of all these objects, by key and in that order; ``read`` reads those that the index lacks."""
        known = self.known(stamps)
        missing = {key: read(key) for key in stamps if key not in known}
        self.keep(stamps, known, missing)
        return {key: known.get(key) or missing[key] for key in stamps}

    def keep(self, stamps: Mapping[str, str], known: Mapping[str, Content], read: Mapping[str, Content]) -> None:
        """Write the index anew if that pays.

        Args:
            stamps: as they were before the objects were read.
            known: what the index knew of them.
            read: what had to be read.
        """
        lasting = {key: (stamps[key], content) for key, content in read.items() if stamps[key]}
        if len(lasting) < _WORTH_WRITING:
            return
        objects = {key: (stamps[key], content) for key, content in known.items()} | lasting
        # Who may only read lists all the same.
        with contextlib.suppress(ExpungeError):
            for part, keys in enumerate(_cut([*objects])):
                stored = self._stored.model_construct(format_version=1, objects={key: objects[key] for key in keys})
                self._store.replace(self._part(part), stored.model_dump_json(exclude_defaults=True).encode())

    def _read(self, part: int) -> dict[str, tuple[str, Content]]:
        try:
            return self._stored.model_validate_json(self._store.read(self._part(part), _MAX_BYTES)).objects
        except StoreUnreachable:
            raise
        except (ExpungeError, ValidationError):  # none yet, of another version, or none at all
            return {}

    def _part(self, number: int) -> str:
        return f"{self._key}{f'-{number}' if number else ''}.json"


def _cut(keys: list[str]) -> Iterator[list[str]]:
    return (keys[begin : begin + _PART] for begin in range(0, len(keys), _PART))


@contextmanager
def without_collecting() -> Iterator[None]:
    """Collect no garbage meanwhile: among many new objects that are all kept, looking takes as long as making them."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
