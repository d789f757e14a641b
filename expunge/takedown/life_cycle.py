"""The life of a request, for one model: pending → claimed (→ waiting for a person) → closed as fulfilled, failed,
rejected or with nothing to remove; and pending again, when a roll-back takes away what had fulfilled it.

Pure values: a ``RequestState`` never changes, each move returns the next one or raises ExpungeError.
"""

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, JsonValue

from expunge.errors import ExpungeError
from expunge.takedown.absence import Absence


class Status(StrEnum):
    """Where a request stands."""

    PENDING = "pending"
    CLAIMED = "claimed"
    WAITING = "waiting"
    CLOSED = "closed"


class Outcome(StrEnum):
    """How a request ended: ``rejected`` unworkable, ``failed`` because the result did not pass the gate, or with
    nothing to remove because the model does not draw the target."""

    FULFILLED = "fulfilled"
    FAILED = "failed"
    REJECTED = "rejected"
    NOTHING = "nothing to remove"


class Event(BaseModel):
    """One move in a request's history; ``status`` is an outcome once it is closed."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    time: datetime
    status: Status | Outcome
    reason: str = ""


class Claim(BaseModel):
    """Who works on a request, and since when."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    owner: str
    taken_at: datetime


class Wait(BaseModel):
    """For whose approval a request waits.

    Attributes:
        version: the registered version that the gate let pass.
        made_from: the champion that it was made from, None for the first. Once that is champion no more, nobody can
            approve the version.
        until: when the wait is over at the latest.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    version: int
    made_from: int | None
    until: datetime


class NotHeld(ExpungeError):
    """The claim is somebody else's by now."""


class RequestState(BaseModel):
    """What became of a request so far.

    Attributes:
        hashes: SHA-256 of the request file and its pictures, by key, as they were when last claimed.
        certificate: what the run that closed it certified.
        absence: why there is nothing to remove, of a request that ended so.
        history: every move, oldest first; empty for a request that nobody has touched.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    format_version: Literal[1] = 1
    status: Status = Status.PENDING
    outcome: Outcome | None = None
    reason: str = ""
    claim: Claim | None = None
    wait: Wait | None = None
    hashes: dict[str, str] = {}
    certificate: dict[str, JsonValue] | None = None
    absence: Absence | None = None
    history: tuple[Event, ...] = ()

    @property
    def label(self) -> str:
        """The outcome once closed, else the status."""
        return (self.outcome or self.status).value

    @property
    def is_live(self) -> bool:
        """Whether filing the same again would add nothing: it waits, is worked on, or was fulfilled."""
        return self.outcome in (None, Outcome.FULFILLED)

    def is_open_to(self, owner: str, stale: Callable[[Claim], bool]) -> bool:
        """Whether ``owner`` may claim it: pending, already held by that owner, or held by a stale claim."""
        if self.claim is not None:
            return self.claim.owner == owner or stale(self.claim)
        return self.status is Status.PENDING

    def claimed(self, owner: str, now: datetime, hashes: dict[str, str]) -> "RequestState":
        """Held by ``owner``, who asked ``is_open_to`` before."""
        if self.claim is None and self.status is not Status.PENDING:
            raise ExpungeError(f"is {self._standing()}; only a pending request can be claimed")
        reason = f"taken over from {self.claim.owner}" if self.claim and self.claim.owner != owner else ""
        return self._moved(Status.CLAIMED, now, reason, claim=Claim(owner=owner, taken_at=now), hashes=hashes)

    def rejected(self, now: datetime, reason: str) -> "RequestState":
        """Closed as rejected by someone who could have claimed it."""
        if self.claim is None and self.status is not Status.PENDING:
            raise ExpungeError(f"is {self._standing()}; only a pending request can be rejected")
        return self._moved(Outcome.REJECTED, now, reason)

    def closed(
        self, outcome: Outcome, now: datetime, reason: str, certificate: dict[str, Any] | None, owner: str | None = None
    ) -> "RequestState":
        """Closed with an outcome, by whoever holds it. Closing again with the same outcome changes nothing."""
        if outcome is Outcome.NOTHING:
            raise ExpungeError(f"cannot be closed as {outcome.value} without the evidence; look for its target first")
        return self._ended(outcome, now, reason, owner, certificate=certificate)

    def absent(self, now: datetime, absence: Absence, owner: str | None = None) -> "RequestState":
        """Closed with nothing to remove, by whoever holds it. Closing again so changes nothing."""
        return self._ended(Outcome.NOTHING, now, str(absence), owner, absence=absence)

    def waiting(self, now: datetime, wait: Wait, owner: str | None = None) -> "RequestState":
        """Waiting for a person's approval of the version that would fulfil it."""
        if self.status is not Status.CLAIMED:
            raise ExpungeError(f"is {self._standing()}; only a claimed request can wait for an approval")
        self._check_holder(owner)
        reason = (
            f"version {wait.version} passed the gate and waits for an approval until {wait.until:%Y-%m-%d %H:%M} UTC"
        )
        return self._moved(Status.WAITING, now, reason, wait=wait)

    def released(self, now: datetime, reason: str, owner: str | None = None) -> "RequestState":
        """Pending again, the claim or the wait given up."""
        if self.status not in (Status.CLAIMED, Status.WAITING):
            raise ExpungeError(f"is {self._standing()}; only a claimed request can be released")
        self._check_holder(owner)
        return self._moved(Status.PENDING, now, reason)

    def reopened(self, at: datetime, reason: str) -> "RequestState":
        """Pending again, because what it was fulfilled by, or what did not draw its target, is champion no more."""
        if self.outcome not in (Outcome.FULFILLED, Outcome.NOTHING):
            raise ExpungeError(
                f"is {self._standing()}; only a fulfilled request, or one with nothing to remove, can be reopened"
            )
        return self._moved(Status.PENDING, at, reason)

    def retried(self, now: datetime, reason: str) -> "RequestState":
        """Pending again after it failed, after a rejected one was mended, or to look for its target once more."""
        if self.outcome not in (Outcome.FAILED, Outcome.REJECTED, Outcome.NOTHING):
            raise ExpungeError(
                f"is {self._standing()}; only a failed or rejected request, or one with nothing to remove, can be "
                "retried"
            )
        return self._moved(Status.PENDING, now, reason)

    def _ended(
        self, outcome: Outcome, now: datetime, reason: str, owner: str | None, **evidence: Any
    ) -> "RequestState":
        if self.status is Status.CLOSED and self.outcome is outcome:
            return self
        if self.status not in (Status.CLAIMED, Status.WAITING):
            raise ExpungeError(f"is {self._standing()}; only a claimed request can be closed as {outcome.value}")
        self._check_holder(owner)
        return self._moved(outcome, now, reason, **evidence)

    def _moved(self, to: Status | Outcome, now: datetime, reason: str, **changes: Any) -> "RequestState":
        """The next state; claim, wait and evidence are dropped unless given, hashes stay."""
        fields = {"hashes": self.hashes, "reason": reason} | changes
        return RequestState(
            status=Status.CLOSED if isinstance(to, Outcome) else to,
            outcome=to if isinstance(to, Outcome) else None,
            history=(*self.history, Event(time=now, status=to, reason=reason)),
            **fields,
        )

    def _check_holder(self, owner: str | None) -> None:
        if owner is not None and self.claim is not None and self.claim.owner != owner:
            raise NotHeld(f"is {self._standing()} by now, so {owner} leaves it alone")

    def _standing(self) -> str:
        return f"{self.label} by {self.claim.owner}" if self.claim else self.label
