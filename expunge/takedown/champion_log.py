"""The champion log of one registered model, beside the inbox: which version is in service, and what it has forgotten.

Layout of the store:

    .models/NAME/champions/000001.json    the first crowning; the highest number is the present one

Each crowning creates the next number, which exactly one of several writers can do, and only on top of the version that
it was made from. It names what that version adds; what it has forgotten in all is read back over those that it was made
from, so an entry is as small as its run, however long the history. Who is champion, who was before, since when, and
which requests are fulfilled: all follow from it. MLflow's aliases are set from it and mended from it.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Literal

from pydantic import AliasChoices, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from expunge.errors import ExpungeError
from expunge.takedown.index import Index
from expunge.takedown.model_name import check_name
from expunge.takedown.object_store import AlreadyExists, Store

_NUMBERED = re.compile(r"\d{6}\.json")
_MAX_BYTES = 4_000_000


class Approval(BaseModel):
    """A person's word for a version that the gate had let pass."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    reason: str
    at: AwareDatetime


class Crowning(BaseModel):
    """One entry: a version became champion.

    Attributes:
        version: of the registered model.
        replaces: the champion that it was put in place of, None for the first. Of a promotion that is the version it
            was made from.
        adds: ids of the requests that the version has forgotten beyond what it was made from; of a roll-back none.
            Entries of format 1 name all that it has forgotten, as ``covers``, which adds up to the same.
        why: a promotion through the gate, a roll-back, or found in a registry that had no log yet.
        reason: in free text.
        by: the run or the person that did it.
        approval: where the gate asks for one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    format_version: Literal[1, 2] = 2
    version: int
    replaces: int | None
    adds: tuple[str, ...] = Field(default=(), validation_alias=AliasChoices("adds", "covers"))
    why: Literal["promotion", "roll-back", "found"]
    reason: str = ""
    by: str = ""
    at: AwareDatetime
    approval: Approval | None = None


class Period(BaseModel):
    """A time as champion; ``until`` is None while it lasts."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    since: datetime
    until: datetime | None = None


class Overtaken(ExpungeError):
    """The champion is no longer the version that the new one was made from."""


class ChampionLog:
    """The crownings of one registered model.

    Args:
        store: that of the inbox.
        model: the registered model's name.
    """

    def __init__(self, store: Store, model: str) -> None:
        self.model = check_name(model)
        self._store = store
        self._folder = f".models/{model}/champions/"
        self._index = Index(store, f".models/{model}/index/champions", Crowning)
        self._covered: dict[int, frozenset[str]] = {}

    def entries(self) -> list[Crowning]:
        """Every crowning, oldest first."""
        return [*self._index.contents(self._stamps(), self._load).values()]

    def current(self) -> Crowning | None:
        """The present champion's, None before the first promotion."""
        keys = [*self._stamps()]
        return self._load(keys[-1]) if keys else None

    def crown(self, crowning: Crowning) -> Crowning:
        """Make a version champion, in place of ``crowning.replaces`` and of no other. Done again it changes nothing.

        Returns:
            The entry in the log.

        Raises:
            Overtaken: another version is champion by now; nothing was written.
            ExpungeError: the entry would be too large to be read; nothing was written.
        """
        keys, data = [*self._stamps()], crowning.model_dump_json().encode()
        current = self._load(keys[-1]) if keys else None
        if current is not None and current.version == crowning.version:
            return current
        if (current.version if current else None) != crowning.replaces:
            raise self._overtaken(crowning, current)
        if len(data) > _MAX_BYTES:
            raise ExpungeError(
                f"version {crowning.version} of {self.model} adds {len(crowning.adds):,} requests, more than an entry "
                f"of {_MAX_BYTES:,} bytes holds; take fewer into one run, named under 'only'"
            )
        try:
            self._store.create(f"{self._folder}{len(keys) + 1:06d}.json", data)
        except AlreadyExists:
            return self.crown(crowning)  # somebody was faster: with this very version, or with another one
        return crowning

    def former(self) -> int | None:
        """The version to roll back to: what the champion was made from. None for the first and without one.

        Not merely the champion before: one that was rolled back from is not gone back to.
        """
        entries = self.entries()
        line = _line(_made(entries), entries[-1].version) if entries else ()
        return next((each.replaces for each in line), None)

    def line(self, version: int | None) -> set[int | None]:
        """A version and all that it was made from, one after the other, with None for the base of them all."""
        return {version, None, *(each.replaces for each in _line(_made(self.entries()), version))}

    def covered_by(self, version: int) -> frozenset[str]:
        """As ``covered``. It never changes, so that of the version asked for last is remembered."""
        if version not in self._covered:
            found = covered(self.entries(), version)
            if not found:
                return found  # it may become champion yet
            self._covered = {version: found}
        return self._covered[version]

    def periods(self) -> dict[int, list[Period]]:
        """When each version was champion, oldest first."""
        entries = self.entries()
        ends: Iterable[datetime | None] = [*(each.at for each in entries[1:]), None]
        found: dict[int, list[Period]] = {}
        for each, until in zip(entries, ends, strict=True) if entries else ():
            found.setdefault(each.version, []).append(Period(since=each.at, until=until))
        return found

    def _overtaken(self, crowning: Crowning, current: Crowning | None) -> Overtaken:
        now, made_from = (
            f"version {each}" if each else "none" for each in (current and current.version, crowning.replaces)
        )
        return Overtaken(
            f"version {crowning.version} of {self.model} cannot become champion: it was made from {made_from}, the "
            f"champion is {now}; what it lacks of that would come back. Run the takedown again on top of the champion."
        )

    def _stamps(self) -> dict[str, str]:
        stamps = self._store.stamps(self._folder)
        return {key: stamp for key, stamp in stamps.items() if _NUMBERED.fullmatch(key, len(self._folder))}

    def _load(self, key: str) -> Crowning:
        try:
            return Crowning.model_validate_json(self._store.read(key, _MAX_BYTES))
        except ValidationError as error:
            raise ExpungeError(f"'{key}' is no crowning that this version of Expunge can read") from error


def covered(entries: Iterable[Crowning], version: int) -> frozenset[str]:
    """Ids of all requests that a version has forgotten; none for one that was never champion."""
    return frozenset(id for each in _line(_made(entries), version) for id in each.adds)


def _made(entries: Iterable[Crowning]) -> dict[int, Crowning]:
    """The crowning of each version that says what it was made from."""
    return {each.version: each for each in entries if each.why != "roll-back"}


def _line(made: Mapping[int, Crowning], version: int | None) -> list[Crowning]:
    """Those of a version and of all that it was made from."""
    found = []
    while version is not None and (crowning := made.get(version)):
        found.append(crowning)
        version = crowning.replaces
    return found
