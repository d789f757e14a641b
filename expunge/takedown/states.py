"""The numbered states of requests in a store: an append-only log with one winner per number."""

import re
from collections.abc import Callable

from pydantic import ValidationError

from expunge.errors import ExpungeError
from expunge.takedown.index import Index, without_collecting
from expunge.takedown.life_cycle import RequestState
from expunge.takedown.object_store import AlreadyExists, Store

_BELOW = re.compile(r"([^/]+)/(\d{6})\.json")
_MAX_BYTES = 4_000_000
_ATTEMPTS = 100
_OLD = ".state/"  # where states lay when an inbox served one model

# What stored states amount to today, by their request's id. It is asked for once they are read, not before: they follow
# from crownings, and one that was read under an earlier crowning would seem to have no champion.
View = Callable[[], Callable[[str, RequestState], RequestState]]


class StateLog:
    """States under ``.models/MODEL/requests/ID/NUMBER.json``; the highest number is a request's present state.

    Args:
        store: that of the inbox.
        model: the registered model that they are about.
    """

    def __init__(self, store: Store, model: str) -> None:
        self._store = store
        self._folder = f".models/{model}/requests/"
        self._index = Index(store, f".models/{model}/index/states", RequestState)

    @without_collecting()
    def latest(self, view: View) -> dict[str, RequestState]:
        """The present state of every request that has one, by id; without the certificates, which ``read`` has.

        Args:
            view: what stored states amount to today.
        """
        stamps = self._store.stamps(self._folder)
        keys: dict[str, str] = {}
        for key in stamps:
            if match := _BELOW.fullmatch(key, len(self._folder)):
                keys[match[1]] = key  # sorted: the last one has the highest number
        if not keys and any(_BELOW.fullmatch(key, len(_OLD)) for key in self._store.list(_OLD)):
            raise ExpungeError(
                f"inbox: its states lie in {_OLD}, as an earlier version of Expunge kept them; move them to "
                f"{self._folder} (in a folder: mkdir -p {self._folder} && mv {_OLD}* {self._folder})"
            )
        present = {key: stamps[key] for key in keys.values()}
        read = self._index.contents(present, lambda key: _listed(self._load(key)))
        seen = view()
        return {request_id: seen(request_id, read[key]) for request_id, key in keys.items()}

    def read(self, request_id: str, view: View) -> RequestState:
        """The present state of one request, as ``view`` has it; that of an untouched one if there is none."""
        stored = self._current(request_id)[1]
        return view()(request_id, stored)

    def move(
        self,
        request_id: str,
        change: Callable[[RequestState], RequestState],
        view: View,
        still_possible: Callable[[RequestState], bool] = lambda state: True,
    ) -> RequestState | None:
        """Replace the present state by ``change(state)``, in one step that no other writer can come between.

        Returns:
            The new state, or None if, by the time it was read, ``still_possible`` said no.

        Raises:
            ExpungeError: what ``change`` raises, or others kept writing all the time.
        """
        for _ in range(_ATTEMPTS):
            number, stored = self._current(request_id)
            state = view()(request_id, stored)
            if not still_possible(state):
                return None
            changed = change(state)
            if changed is state:
                return state
            try:
                self._store.create(
                    f"{self._folder}{request_id}/{number + 1:06d}.json", changed.model_dump_json().encode()
                )
            except AlreadyExists:
                continue
            return changed
        raise ExpungeError(f"request '{request_id}': its state kept changing; try again")

    def _current(self, request_id: str) -> tuple[int, RequestState]:
        keys = self._store.list(f"{self._folder}{request_id}/")
        found = [(int(match[2]), key) for key in keys if (match := _BELOW.fullmatch(key, len(self._folder)))]
        if not found:
            return 0, RequestState()
        number, key = found[-1]
        return number, self._load(key)

    def _load(self, key: str) -> RequestState:
        try:
            return RequestState.model_validate_json(self._store.read(key, _MAX_BYTES))
        except ValidationError as error:
            raise ExpungeError(f"'{key}' is no state of a request that this version of Expunge can read") from error


def _listed(state: RequestState) -> RequestState:
    """Without its certificate, which may be a hundred times as large as the rest."""
    return state.model_copy(update={"certificate": None}) if state.certificate is not None else state
