"""The life of a request: pending → claimed → closed as fulfilled, failed or rejected.

Pure values: a ``RequestState`` never changes, each move returns the next one or raises ExpungeError.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, JsonValue

from expunge.errors import ExpungeError
from expunge.takedown.owner import owner_is_gone


class Status(StrEnum):
    """Where a request stands."""

    PENDING = "pending"
    CLAIMED = "claimed"
    CLOSED = "closed"


class Outcome(StrEnum):
    """How a request ended: ``rejected`` unworkable, ``failed`` because the result did not pass the gate."""

    FULFILLED = "fulfilled"
    FAILED = "failed"
    REJECTED = "rejected"


class Event(BaseModel):
    """One move in a request's history; ``status`` is an outcome once it is closed."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    time: datetime
    status: Status | Outcome
    reason: str = ""


class Claim(BaseModel):
    """Who works on a request, since when, and until when at the latest."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    owner: str
    taken_at: datetime
    lease_until: datetime

    def is_stale(self, now: datetime) -> bool:
        """Whether anybody may take the claim over: its lease ran out or its process is gone."""
        return now >= self.lease_until or owner_is_gone(self.owner, self.taken_at)


class RequestState(BaseModel):
    """What became of a request so far.

    Attributes:
        hashes: SHA-256 of the request file and its pictures, by key, as they were when last claimed.
        certificate: what the run that closed it certified.
        history: every move, oldest first; empty for a request that nobody has touched.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    format_version: Literal[1] = 1
    status: Status = Status.PENDING
    outcome: Outcome | None = None
    reason: str = ""
    claim: Claim | None = None
    hashes: dict[str, str] = {}
    certificate: dict[str, JsonValue] | None = None
    history: tuple[Event, ...] = ()

    @property
    def label(self) -> str:
        """The outcome once closed, else the status."""
        return (self.outcome or self.status).value

    @property
    def is_live(self) -> bool:
        """Whether filing the same again would add nothing: it waits, is worked on, or was fulfilled."""
        return self.outcome in (None, Outcome.FULFILLED)

    def is_open_to(self, owner: str, now: datetime) -> bool:
        """Whether ``owner`` may claim it: pending, already held by that owner, or held by a stale claim."""
        if self.claim is not None:
            return self.claim.owner == owner or self.claim.is_stale(now)
        return self.status is Status.PENDING

    def claimed(self, owner: str, now: datetime, lease: timedelta, hashes: dict[str, str]) -> "RequestState":
        """Held by ``owner`` until ``now + lease``."""
        if not self.is_open_to(owner, now):
            raise ExpungeError(f"is {self._standing()}; only a pending request can be claimed")
        reason = f"taken over from {self.claim.owner}" if self.claim and self.claim.owner != owner else ""
        claim = Claim(owner=owner, taken_at=now, lease_until=now + lease)
        return self._moved(Status.CLAIMED, now, reason, claim=claim, hashes=hashes)

    def renewed(self, owner: str, now: datetime, lease: timedelta) -> "RequestState":
        """The same claim with a lease until ``now + lease``, if ``owner`` still holds it; else unchanged."""
        if self.claim is None or self.claim.owner != owner:
            return self
        return self.model_copy(update={"claim": self.claim.model_copy(update={"lease_until": now + lease})})

    def rejected(self, owner: str, now: datetime, reason: str) -> "RequestState":
        """Closed as rejected by someone who could have claimed it."""
        if not self.is_open_to(owner, now):
            raise ExpungeError(f"is {self._standing()}; only a pending request can be rejected")
        return self._moved(Outcome.REJECTED, now, reason)

    def closed(
        self, outcome: Outcome, now: datetime, reason: str, certificate: dict[str, Any] | None
    ) -> "RequestState":
        """Closed with an outcome. Closing again with the same outcome changes nothing."""
        if self.status is Status.CLOSED and self.outcome is outcome:
            return self
        if self.status is not Status.CLAIMED:
            raise ExpungeError(f"is {self._standing()}; only a claimed request can be closed as {outcome.value}")
        return self._moved(outcome, now, reason, certificate=certificate)

    def released(self, now: datetime, reason: str) -> "RequestState":
        """Pending again, the claim given up."""
        if self.status is not Status.CLAIMED:
            raise ExpungeError(f"is {self._standing()}; only a claimed request can be released")
        return self._moved(Status.PENDING, now, reason)

    def retried(self, now: datetime, reason: str) -> "RequestState":
        """Pending again after it failed, or after a rejected one was mended."""
        if self.outcome not in (Outcome.FAILED, Outcome.REJECTED):
            raise ExpungeError(f"is {self._standing()}; only a failed or rejected request can be retried")
        return self._moved(Status.PENDING, now, reason)

    def _moved(self, to: Status | Outcome, now: datetime, reason: str, **changes: Any) -> "RequestState":
        """The next state; claim and certificate are dropped unless given, hashes stay."""
        fields = {"hashes": self.hashes, "reason": reason} | changes
        return RequestState(
            status=Status.CLOSED if isinstance(to, Outcome) else to,
            outcome=to if isinstance(to, Outcome) else None,
            history=(*self.history, Event(time=now, status=to, reason=reason)),
            **fields,
        )

    def _standing(self) -> str:
        return f"{self.label} by {self.claim.owner}" if self.claim else self.label
