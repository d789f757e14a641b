"""The numbered states of requests in a store: an append-only log with one winner per number."""

import re
from collections.abc import Callable

from pydantic import ValidationError

from expunge.errors import ExpungeError
from expunge.takedown.life_cycle import RequestState
from expunge.takedown.object_store import AlreadyExists, Store

_FOLDER = ".state"
_KEY = re.compile(rf"{re.escape(_FOLDER)}/([^/]+)/(\d{{6}})\.json")
_MAX_BYTES = 4_000_000
_ATTEMPTS = 100


class StateLog:
    """States under ``.state/ID/NUMBER.json``; the highest number is a request's present state."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def latest(self) -> dict[str, RequestState]:
        """The present state of every request that has one, by id."""
        keys: dict[str, str] = {}
        for key in self._store.list(f"{_FOLDER}/"):
            if match := _KEY.fullmatch(key):
                keys[match[1]] = key  # sorted: the last one has the highest number
        return {request_id: self._load(key) for request_id, key in keys.items()}

    def read(self, request_id: str) -> RequestState:
        """The present state of one request; that of an untouched one if there is none."""
        return self._current(request_id)[1]

    def move(
        self,
        request_id: str,
        change: Callable[[RequestState], RequestState],
        still_possible: Callable[[RequestState], bool] = lambda state: True,
    ) -> RequestState | None:
        """Replace the present state by ``change(state)``, in one step that no other writer can come between.

        Returns:
            The new state, or None if, by the time it was read, ``still_possible`` said no.

        Raises:
            ExpungeError: what ``change`` raises, or others kept writing all the time.
        """
        for _ in range(_ATTEMPTS):
            number, state = self._current(request_id)
            if not still_possible(state):
                return None
            changed = change(state)
            if changed is state:
                return state
            try:
                self._store.create(_key(request_id, number + 1), changed.model_dump_json().encode())
            except AlreadyExists:
                continue
            return changed
        raise ExpungeError(f"request '{request_id}': its state kept changing; try again")

    def amend(self, request_id: str, change: Callable[[RequestState], RequestState]) -> None:
        """Rewrite the present state in place. A move made meanwhile wins, for its number is higher."""
        number, state = self._current(request_id)
        changed = change(state)
        if changed is not state:
            self._store.replace(_key(request_id, number), changed.model_dump_json().encode())

    def _current(self, request_id: str) -> tuple[int, RequestState]:
        matches = [match for key in self._store.list(f"{_FOLDER}/{request_id}/") if (match := _KEY.fullmatch(key))]
        if not matches:
            return 0, RequestState()
        return int(matches[-1][2]), self._load(matches[-1][0])

    def _load(self, key: str) -> RequestState:
        try:
            return RequestState.model_validate_json(self._store.read(key, _MAX_BYTES))
        except ValidationError as error:
            raise ExpungeError(f"'{key}' is no state of a request that this version of Expunge can read") from error


def _key(request_id: str, number: int) -> str:
    return f"{_FOLDER}/{request_id}/{number:06d}.json"
