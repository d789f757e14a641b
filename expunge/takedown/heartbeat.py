"""Heartbeats: by them a claim's holder, on whatever host, is known to be alive.

Layout of the store, one object a run and model:

    .models/NAME/runs/HASH.json    who, and when last heard of; HASH of the owner's name
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from hashlib import sha256

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from expunge.takedown.life_cycle import Claim
from expunge.takedown.object_store import MissingKey, Store, StoreUnreachable
from expunge.takedown.owner import owner_is_gone

LEASE = timedelta(minutes=3)  # without a beat for so long a holder counts as dead
BEATS_A_LEASE = 6


class Beat(BaseModel):
    """When an owner was last alive, by its own clock."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    owner: str
    at: AwareDatetime


class Heartbeats:
    """The beats of those who hold claims on requests for one registered model.

    Args:
        store: that of the inbox.
        model: the registered model's name.
        lease: without a beat for so long a holder counts as dead.
        clock: returns the time, with a zone.
    """

    def __init__(self, store: Store, model: str, lease: timedelta, clock: Callable[[], datetime]) -> None:
        self.lease = lease
        self._store = store
        self._folder = f".models/{model}/runs/"
        self._clock = clock

    def beat(self, owner: str) -> None:
        """Say that the owner is alive."""
        self._store.replace(self._key(owner), Beat(owner=owner, at=self._clock()).model_dump_json().encode())

    def stale(self, claim: Claim, now: datetime) -> bool:
        """Whether anybody may take a claim over: its process is surely gone, or was not heard of for the lease."""
        if owner_is_gone(claim.owner, claim.taken_at):
            return True
        if now < claim.taken_at + self.lease:
            return False
        try:
            last = Beat.model_validate_json(self._store.read(self._key(claim.owner), 10_000)).at
        except (MissingKey, ValidationError):
            return True
        return now >= last + self.lease

    @contextmanager
    def kept_up(self, owner: str) -> Iterator[None]:
        """Beat, in a thread, until the block ends, however it ends.

        A store that does not answer is tried again at the next beat. If it stays away for the lease, others may take
        the claims over; every move then asks who holds them.
        """
        ended = threading.Event()

        def beat() -> None:
            while not ended.wait(self.lease.total_seconds() / BEATS_A_LEASE):
                try:
                    self.beat(owner)
                except StoreUnreachable:
                    continue

        self.beat(owner)
        thread = threading.Thread(target=beat, name=f"heartbeat of {owner}", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            self._store.delete(self._key(owner))

    def _key(self, owner: str) -> str:
        return f"{self._folder}{sha256(owner.encode()).hexdigest()[:16]}.json"
