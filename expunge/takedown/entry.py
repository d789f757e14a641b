"""A request in an inbox, and what became of it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Self

from expunge.errors import ExpungeError
from expunge.takedown.life_cycle import Outcome, RequestState
from expunge.takedown.request import TakedownRequest


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

    @classmethod
    def of(cls, request_id: str, request: TakedownRequest | ExpungeError, state: RequestState) -> Self:
        """An entry of what was read, be it a request or why it is none."""
        if isinstance(request, ExpungeError):
            return cls(request_id, state, None, str(request))
        return cls(request_id, state, request)

    def is_overdue(self, now: datetime) -> bool:
        """Whether it should have been fulfilled before now, and neither was nor had nothing to remove."""
        settled = self.state.outcome in (Outcome.FULFILLED, Outcome.NOTHING)
        return self.request is not None and not settled and self.request.is_overdue(now)
