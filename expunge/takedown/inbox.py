"""The takedown inbox: requests that people file or drop there, and what became of each, model by model.

Layout of the store, with ``ID`` the request's id and ``NAME`` the registered model's:

    ID.yaml                                the request, never changed by Expunge
    ID/PICTURE                             the pictures it names
    .models/NAME/requests/ID/000001.json   its first state for that model; the highest number counts
    .models/NAME/champions/…               see ``champion_log``; a request is fulfilled while the champion covers it
    .models/NAME/runs/…                    see ``heartbeat``

Each move of a request creates the next numbered state, which exactly one of several writers can do. So
claims are exclusive, nothing is overwritten, and a process killed at any point leaves the last whole state
behind.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from expunge.errors import ExpungeError
from expunge.takedown.absence import Absence
from expunge.takedown.champion_log import ChampionLog
from expunge.takedown.entry import Entry
from expunge.takedown.filing import Filing, file_request
from expunge.takedown.heartbeat import LEASE, Heartbeats
from expunge.takedown.index import without_collecting
from expunge.takedown.life_cycle import Claim, Outcome, RequestState, Wait
from expunge.takedown.model_name import DEFAULT_NAME
from expunge.takedown.object_store import Store, StoreUnreachable
from expunge.takedown.picture_files import decode_pictures
from expunge.takedown.request import TakedownBatch, TakedownRequest
from expunge.takedown.request_files import RequestFiles, id_of
from expunge.takedown.states import StateLog


class Inbox:
    """The requests in a store, and what became of each for one registered model.

    Args:
        store: see ``open_store``.
        model: the registered model. Several may be served from one store; they know nothing of each other.
        lease: how long a claim holds without a heartbeat.
        clock: returns the time, with a zone.

    Attributes:
        files: the requests as they were filed.
        champions: the model's champion log.
        heartbeats: of those who hold claims.
    """

    def __init__(
        self,
        store: Store,
        model: str = DEFAULT_NAME,
        lease: timedelta = LEASE,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.store = store
        self.files = RequestFiles(store, model)
        self.champions = ChampionLog(store, model)
        self.heartbeats = Heartbeats(store, model, lease, clock)
        self._clock = clock
        self._states = StateLog(store, model)

    def file(self, *, pictures: Sequence[Path | str] = (), id: str | None = None, **fields: Any) -> Filing:
        """File a request, once: see ``file_request``.

        Args:
            pictures: files to copy in.
            id: by default made from kind and target.
            fields: those of ``TakedownRequest``, by name; at least ``kind`` and ``target``.
        """
        filed_at = self._clock().replace(microsecond=0)
        return file_request(self, fields | {"filed_at": filed_at}, [Path(path) for path in pictures], id)

    @without_collecting()
    def requests(self) -> list[Entry]:
        """Every request with its state, by id. The states lack their certificates, which ``entry`` has."""
        states = self._states.latest(self._view)
        requests = {id_of(key): request for key, request in self.files.all().items()}
        return [Entry.of(each, requests[each], states.get(each, RequestState())) for each in sorted(requests)]

    def entry(self, request_id: str) -> Entry:
        """One request with its state.

        Raises:
            ExpungeError: there is none under that id; the message lists what there is.
        """
        request = self.files.find(request_id)
        return Entry.of(request_id, request, self._states.read(request_id, self._view))

    def state(self, request_id: str) -> RequestState:
        """What became of a request so far. Raises ExpungeError if there is none under that id."""
        return self.entry(request_id).state

    def claimable(self, entries: Iterable[Entry]) -> list[Entry]:
        """Those of the entries that a run could claim now: pending, or held by a claim that is stale."""
        stale = self._stale(self._clock())
        return [each for each in entries if each.request and each.state.is_open_to("", stale)]

    def claim_pending(
        self,
        owner: str,
        examine: Callable[[TakedownBatch], Mapping[str, str]],
        only: Collection[str] = (),
    ) -> TakedownBatch:
        """Claim every good pending request, and reject every bad one with the reason on its state.

        Requests that ``owner`` holds already, and those whose claim is stale, count as pending. All are
        examined before the first is claimed, so an unforeseen error leaves no claim behind.

        Args:
            owner: ``host:pid:run``, see ``this_owner``.
            examine: given all that can be read, the first filed first, and those that were fulfilled before: which
                of them cannot be worked on, by id, and why.
            only: ids of the requests to look at; all if empty.

        Returns:
            The claimed requests by id, none if nothing is pending; and those that were fulfilled before.

        Raises:
            StoreUnreachable: the store stopped answering; nothing is rejected for that.
        """
        good, reasons, forgotten = self._sorted_out(owner, only)
        first = sorted(good, key=lambda request: (request.filed_at, request.id))
        reasons |= examine(TakedownBatch(requests=tuple(first), forgotten=forgotten))
        for request_id, reason in reasons.items():
            self._try_to_move(request_id, owner, partial(RequestState.rejected, reason=reason))
        claim = partial(RequestState.claimed, owner=owner)
        workable = {request: hashes for request, hashes in good.items() if request.id not in reasons}
        batch = [
            request
            for request, hashes in workable.items()
            if self._try_to_move(request.id, owner, partial(claim, hashes=hashes))
        ]
        return TakedownBatch(requests=tuple(sorted(batch, key=lambda request: request.id)), forgotten=forgotten)

    def _sorted_out(
        self, owner: str, only: Collection[str]
    ) -> tuple[dict[TakedownRequest, dict[str, str]], dict[str, str], tuple[TakedownRequest, ...]]:
        """What ``owner`` may claim, with the hashes of each; why some cannot be read, by id; and what was fulfilled."""
        states, stale = self._states.latest(self._view), self._stale(self._clock())
        good: dict[TakedownRequest, dict[str, str]] = {}
        reasons: dict[str, str] = {}
        forgotten = []
        for key, request in self.files.all().items():
            state = states.get(id_of(key), RequestState())
            if state.outcome is Outcome.FULFILLED:
                forgotten += [request] if isinstance(request, TakedownRequest) else []
            elif state.is_open_to(owner, stale) and (not only or id_of(key) in only):
                try:
                    whole, hashes = self.files.examine(key)
                    good[whole] = hashes
                except StoreUnreachable:
                    raise  # no fault of the request
                except ExpungeError as error:
                    reasons[id_of(key)] = str(error)
        return good, reasons, tuple(forgotten)

    def close(
        self,
        request_id: str,
        outcome: Outcome | str,
        reason: str = "",
        certificate: dict[str, Any] | None = None,
        owner: str | None = None,
    ) -> RequestState:
        """Close a claimed request. Closing it again with the same outcome changes nothing.

        Args:
            owner: who must hold the claim, if that is to be asked.

        Raises:
            NotHeld: somebody else holds it by now.
            ExpungeError: it is not claimed; it is to be fulfilled and the champion does not cover it; or there is no
                such request or outcome.
        """
        if outcome not in list(Outcome):
            raise ExpungeError(f"outcome: got '{outcome}'; allowed are {', '.join(Outcome)}")
        crowning = self.champions.current()
        if outcome == Outcome.FULFILLED and not (
            crowning and request_id in self.champions.covered_by(crowning.version)
        ):
            raise ExpungeError(
                f"request '{request_id}' is not fulfilled: no champion of {self.champions.model} has forgotten it"
            )
        return self._move(request_id, lambda s: s.closed(Outcome(outcome), self._clock(), reason, certificate, owner))

    def close_absent(self, request_id: str, absence: Absence, owner: str | None = None) -> RequestState:
        """Close a claimed request with nothing to remove. Raises as ``close`` does."""
        return self._move(request_id, lambda state: state.absent(self._clock(), absence, owner))

    def wait(self, request_id: str, wait: Wait, owner: str | None = None) -> RequestState:
        """Let a claimed request wait for a person's approval. Raises as ``close`` does."""
        return self._move(request_id, lambda state: state.waiting(self._clock(), wait, owner))

    def release(self, request_id: str, reason: str = "released", owner: str | None = None) -> RequestState:
        """Give a claim or a wait up: the request is pending again. Raises ExpungeError if there is none, or NotHeld."""
        return self._move(request_id, lambda state: state.released(self._clock(), reason, owner))

    def release_all(self, owner: str, reason: str) -> None:
        """Give up every claim that ``owner`` holds."""
        for request_id, state in self._states.latest(self._view).items():
            if state.claim is not None and state.claim.owner == owner:
                self.release(request_id, reason, owner)

    def retry(self, request_id: str, reason: str = "retried") -> RequestState:
        """Make a request pending again that failed, was rejected or had nothing to remove. Raises ExpungeError else."""
        return self._move(request_id, lambda state: state.retried(self._clock(), reason))

    def pictures(self, request: TakedownRequest) -> Iterator[np.ndarray]:
        """The pictures that a request names, one after the other: RGB, uint8, ``(h, w, 3)``.

        Raises:
            ExpungeError: one is missing, bad, or not the one that was there when the request was claimed.
        """
        claimed = self._states.read(request.id, self._view).hashes
        for name, data, pixels in decode_pictures(self.files.pictures(request)):
            if claimed.get(f"{request.id}/{name}", digest := sha256(data).hexdigest()) != digest:
                raise ExpungeError(
                    f"picture '{name}': is not the one that was there when '{request.id}' was claimed; put that back, "
                    "or release the request, so that a run claims it anew"
                )
            yield pixels

    def _view(self) -> Callable[[str, RequestState], RequestState]:
        """What a stored state amounts to under the present champion, for states that were read before.

        A fulfilled request that it does not cover is open again, and so are one whose target was absent from a model
        that it was not made from, and one that waits for an approval which nobody can give any more.
        """
        crowning, now = self.champions.current(), self._clock()
        version = crowning.version if crowning else None
        line, covered_by = cache(self.champions.line), cache(self.champions.covered_by)  # few moves ask for them

        def view(request_id: str, state: RequestState) -> RequestState:
            # Without any crowning the log is younger than the states, and begins with the champion that is found.
            if crowning and state.outcome is Outcome.FULFILLED and request_id not in covered_by(crowning.version):
                at = max(crowning.at, state.history[-1].time)
                return state.reopened(at, f"the champion, version {version}, has not forgotten it")
            if crowning and state.absence and state.absence.version not in line(version):
                at, looked_at = max(crowning.at, state.history[-1].time), state.absence.version
                return state.reopened(at, f"the champion, version {version}, was not made from version {looked_at}")
            if state.wait and version not in (state.wait.made_from, state.wait.version):
                return state.released(now, f"version {state.wait.version} was overtaken by version {version}")
            if state.wait and version != state.wait.version and now >= state.wait.until:
                return state.released(now, f"nobody approved version {state.wait.version} in time")
            return state

        return view

    def _stale(self, now: datetime) -> Callable[[Claim], bool]:
        """Whether a claim may be taken over; each holder is asked for once."""
        known: dict[tuple[str, datetime], bool] = {}

        def stale(claim: Claim) -> bool:
            holder = (claim.owner, claim.taken_at)
            if holder not in known:
                known[holder] = self.heartbeats.stale(claim, now)
            return known[holder]

        return stale

    def _try_to_move(self, request_id: str, owner: str, change: Callable[..., RequestState]) -> bool:
        """Move a request unless somebody else was faster; returns whether it was moved."""
        now = self._clock()  # one time for both questions, or a lease could run out between them
        stale = self._stale(now)
        moved = self._states.move(
            request_id, lambda state: change(state, now=now), self._view, lambda state: state.is_open_to(owner, stale)
        )
        return moved is not None

    def _move(self, request_id: str, change: Callable[[RequestState], RequestState]) -> RequestState:
        self.entry(request_id)  # complains if there is none
        try:
            state = self._states.move(request_id, change, self._view)
        except StoreUnreachable:
            raise
        except ExpungeError as error:
            raise type(error)(f"request '{request_id}' {error}") from error
        assert state is not None
        return state
