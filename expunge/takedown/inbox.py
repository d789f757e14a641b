"""The takedown inbox: requests that people file or drop there, and what became of each.

Layout of the store, with ``ID`` the request's id:

    ID.yaml                  the request, never changed by Expunge
    ID/NAME                  the pictures it names
    .state/ID/000001.json    its first state; the highest number counts

Each move of a request creates the next numbered state, which exactly one of several writers can do. So
claims are exclusive, nothing is overwritten, and a process killed at any point leaves the last whole state
behind.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from expunge.errors import ExpungeError
from expunge.takedown.filing import Filing, file_request
from expunge.takedown.life_cycle import Outcome, RequestState
from expunge.takedown.object_store import MissingKey, Store, StoreUnreachable
from expunge.takedown.picture_files import MAX_BYTES as MAX_PICTURE_BYTES
from expunge.takedown.picture_files import decode_pictures
from expunge.takedown.request import REQUEST_ID, Kind, TakedownBatch, TakedownRequest
from expunge.takedown.request_file import MAX_BYTES, parse_request
from expunge.takedown.states import StateLog

LEASE = timedelta(hours=2)


@dataclass(frozen=True)
class Entry:
    """One request in the inbox.

    Attributes:
        id: its id; for a file whose name is no id, a stand-in that begins with ``_``.
        state: what became of it.
        request: its content, or None if the file cannot be read as a request.
        problem: why it cannot, else empty.
    """

    id: str
    state: RequestState
    request: TakedownRequest | None
    problem: str = ""


class Inbox:
    """The requests in a store.

    Args:
        store: see ``open_store``.
        lease: how long a claim holds if its process cannot be asked.
        clock: returns the time, with a zone.
    """

    def __init__(
        self,
        store: Store,
        lease: timedelta = LEASE,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.store = store
        self.lease = lease
        self._clock = clock
        self._states = StateLog(store)

    def file(
        self,
        *,
        kind: Kind | str,
        target: str,
        synonyms: Sequence[str] = (),
        pictures: Sequence[Path | str] = (),
        requester: str = "",
        reason: str = "",
        instead: str = "",
        id: str | None = None,
    ) -> Filing:
        """File a request, once: see ``file_request``. The arguments are a request's own fields, by name."""
        fields: dict[str, Any] = {"kind": kind, "target": target, "synonyms": list(synonyms)}
        fields |= {"requester": requester, "reason": reason, "instead": instead}
        fields |= {"filed_at": self._clock().replace(microsecond=0)}
        return file_request(self, fields, [Path(path) for path in pictures], id)

    def requests(self) -> list[Entry]:
        """Every request with its state, by id."""
        states = self._states.latest()
        return sorted((self._entry(key, states) for key in self._request_keys()), key=lambda entry: entry.id)

    def entry(self, request_id: str) -> Entry:
        """One request with its state.

        Raises:
            ExpungeError: there is none under that id; the message lists what there is.
        """
        keys = {self._id_of(key): key for key in self._request_keys()}
        if request_id not in keys:
            raise ExpungeError(
                f"id: no request '{request_id}' in the inbox. It holds: {', '.join(sorted(keys)) or 'none'}"
            )
        return self._entry(keys[request_id], {request_id: self._states.read(request_id)})

    def state(self, request_id: str) -> RequestState:
        """What became of a request so far. Raises ExpungeError if there is none under that id."""
        return self.entry(request_id).state

    def claim_pending(self, owner: str, examine: Callable[[TakedownBatch], Mapping[str, str]]) -> TakedownBatch:
        """Claim every good pending request, and reject every bad one with the reason on its state.

        Requests that ``owner`` holds already, and those whose claim is stale, count as pending. All are
        examined before the first is claimed, so an unforeseen error leaves no claim behind.

        Args:
            owner: ``host:pid:run``, see ``this_owner``.
            examine: given all that can be read, the first filed first, and those that were fulfilled before: which
                of them cannot be worked on, by id, and why.

        Returns:
            The claimed requests by id, none if nothing is pending; and those that were fulfilled before.

        Raises:
            StoreUnreachable: the store stopped answering; nothing is rejected for that.
        """
        good, reasons, forgotten = self._sorted_out(owner)
        first = sorted(good, key=lambda request: (request.filed_at, request.id))
        reasons |= examine(TakedownBatch(requests=tuple(first), forgotten=forgotten))
        for request_id, reason in reasons.items():
            self._try_to_move(request_id, owner, partial(RequestState.rejected, owner=owner, reason=reason))
        claim = partial(RequestState.claimed, owner=owner, lease=self.lease)
        workable = {request: hashes for request, hashes in good.items() if request.id not in reasons}
        batch = [
            request
            for request, hashes in workable.items()
            if self._try_to_move(request.id, owner, partial(claim, hashes=hashes))
        ]
        return TakedownBatch(requests=tuple(sorted(batch, key=lambda request: request.id)), forgotten=forgotten)

    def _sorted_out(
        self, owner: str
    ) -> tuple[dict[TakedownRequest, dict[str, str]], dict[str, str], tuple[TakedownRequest, ...]]:
        """What ``owner`` may claim, with the hashes of each; why some cannot be read, by id; and what was fulfilled."""
        states, now = self._states.latest(), self._clock()
        good: dict[TakedownRequest, dict[str, str]] = {}
        reasons: dict[str, str] = {}
        forgotten = []
        for key in self._request_keys():
            state = states.get(self._id_of(key), RequestState())
            try:
                if state.outcome is Outcome.FULFILLED:
                    forgotten.append(self._read_request(key)[0])
                elif state.is_open_to(owner, now):
                    request, hashes = self._examine(key)
                    good[request] = hashes
            except StoreUnreachable:
                raise  # no fault of the request
            except ExpungeError as error:
                reasons[self._id_of(key)] = str(error)
        return good, reasons, tuple(forgotten)

    def renew(self, owner: str) -> int:
        """Extend the lease of all that ``owner`` still holds; returns how many."""
        held = [id for id, state in self._states.latest().items() if state.claim and state.claim.owner == owner]
        for request_id in held:
            self._states.amend(request_id, lambda state: state.renewed(owner, self._clock(), self.lease))
        return len(held)

    def close(
        self,
        request_id: str,
        outcome: Outcome | str,
        reason: str = "",
        certificate: dict[str, Any] | None = None,
    ) -> RequestState:
        """Close a claimed request. Closing it again with the same outcome changes nothing.

        Raises:
            ExpungeError: it is not claimed, or there is no such request or outcome.
        """
        if outcome not in list(Outcome):
            raise ExpungeError(f"outcome: got '{outcome}'; allowed are {', '.join(Outcome)}")
        return self._move(request_id, lambda s: s.closed(Outcome(outcome), self._clock(), reason, certificate))

    def release(self, request_id: str, reason: str = "released") -> RequestState:
        """Give a claim up: the request is pending again. Raises ExpungeError if it is not claimed."""
        return self._move(request_id, lambda state: state.released(self._clock(), reason))

    def retry(self, request_id: str, reason: str = "retried") -> RequestState:
        """Make a failed or rejected request pending again. Raises ExpungeError if it is neither."""
        return self._move(request_id, lambda state: state.retried(self._clock(), reason))

    def pictures(self, request: TakedownRequest) -> Iterator[np.ndarray]:
        """The pictures that a request names, one after the other: RGB, uint8, ``(h, w, 3)``.

        Raises:
            ExpungeError: one is missing, bad, or not the one that was there when the request was claimed.
        """
        claimed = self._states.read(request.id).hashes
        for name, data, pixels in decode_pictures(self._picture_files(request)):
            if claimed.get(f"{request.id}/{name}", digest := sha256(data).hexdigest()) != digest:
                raise ExpungeError(
                    f"picture '{name}': is not the one that was there when '{request.id}' was claimed; put that back, "
                    "or release the request, so that a run claims it anew"
                )
            yield pixels

    def _examine(self, key: str) -> tuple[TakedownRequest, dict[str, str]]:
        """Read and check a request with its pictures; returns it and the SHA-256 of every object."""
        request, data = self._read_request(key)
        hashes = {key: sha256(data).hexdigest()}
        for name, data, _ in decode_pictures(self._picture_files(request)):
            hashes[f"{request.id}/{name}"] = sha256(data).hexdigest()
        return request, hashes

    def _picture_files(self, request: TakedownRequest) -> Iterator[tuple[str, bytes]]:
        for name in request.pictures:
            try:
                yield name, self.store.read(f"{request.id}/{name}", MAX_PICTURE_BYTES)
            except StoreUnreachable:
                raise
            except MissingKey as error:
                raise ExpungeError(f"picture '{name}': is missing; put it into the folder '{request.id}'") from error
            except ExpungeError as error:
                raise ExpungeError(f"picture '{name}': {error}") from error

    def _try_to_move(self, request_id: str, owner: str, change: Callable[..., RequestState]) -> bool:
        """Move a request unless somebody else was faster; returns whether it was moved."""
        now = self._clock()  # one time for both questions, or a lease could run out between them
        moved = self._states.move(
            request_id, lambda state: change(state, now=now), lambda state: state.is_open_to(owner, now)
        )
        return moved is not None

    def _move(self, request_id: str, change: Callable[[RequestState], RequestState]) -> RequestState:
        self.entry(request_id)  # complains if there is none
        try:
            state = self._states.move(request_id, change)
        except ExpungeError as error:
            raise ExpungeError(f"request '{request_id}' {error}") from error
        assert state is not None
        return state

    def _request_keys(self) -> list[str]:
        """The request files: YAML in the root, not hidden."""
        names = (key for key in self.store.list() if "/" not in key and not key.startswith("."))
        return [name for name in names if name.lower().endswith((".yaml", ".yml"))]

    def _id_of(self, key: str) -> str:
        stem = key.removesuffix(".yaml")
        if stem != key and REQUEST_ID.fullmatch(stem):
            return stem
        # No id can begin with an underscore, so a stand-in never meets one.
        return f"_{sha256(key.encode(errors='surrogateescape')).hexdigest()[:12]}"

    def _entry(self, key: str, states: dict[str, RequestState]) -> Entry:
        request_id = self._id_of(key)
        state = states.get(request_id, RequestState())
        try:
            return Entry(request_id, state, self._read_request(key)[0])
        except StoreUnreachable:
            raise
        except ExpungeError as error:
            return Entry(request_id, state, None, str(error))

    def _read_request(self, key: str) -> tuple[TakedownRequest, bytes]:
        request_id = self._id_of(key)
        if key != f"{request_id}.yaml":
            raise ExpungeError(
                f"file {key[:80]!r}: a request's file is named ID.yaml, with an id of at most 63 lower-case "
                "letters, digits and hyphens; rename it"
            )
        data = self.store.read(key, MAX_BYTES)
        try:
            return parse_request(data, request_id, lambda: self.store.modified(key)), data
        except (ExpungeError, MemoryError):
            raise
        except Exception as error:  # whatever a file makes its readers raise is that file's fault alone
            raise ExpungeError(f"the request file cannot be read: {type(error).__name__}: {error}") from error
