"""How an inbox stands for one model: what waits, what runs, what is late, what needs a person, and how long it took."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from statistics import median

from pydantic import BaseModel, ConfigDict

from expunge.takedown.entry import Entry
from expunge.takedown.inbox import Inbox
from expunge.takedown.life_cycle import Outcome, RequestState, Status

BY_HAND = "retried by hand"  # the reason on a retry that a person asked for
ATTEMPTS = 2  # of a request, before it goes to a person: with the others, and alone


class Standing(BaseModel):
    """How an inbox stands for one registered model.

    Attributes:
        model: the registered model.
        at: when it was looked at.
        champion: its version, None before the first promotion.
        pending: ids; ``running``, ``waiting`` (for an approval), ``fulfilled``, ``nothing_to_remove``, ``failed`` and
            ``rejected`` likewise.
        overdue: ids of those that should have been fulfilled by now and were not, unless there is nothing to remove.
        for_a_person: ids of those that no run takes up again: failed too often, rejected, or waiting for an approval.
        hours_to_close: median and longest time from filing to fulfilment, in hours; None while nothing is fulfilled.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    model: str
    at: datetime
    champion: int | None
    pending: tuple[str, ...]
    running: tuple[str, ...]
    waiting: tuple[str, ...]
    fulfilled: tuple[str, ...]
    nothing_to_remove: tuple[str, ...]
    failed: tuple[str, ...]
    rejected: tuple[str, ...]
    overdue: tuple[str, ...]
    for_a_person: tuple[str, ...]
    hours_to_close: tuple[float, float] | None


def standing(entries: Sequence[Entry], model: str, champion: int | None, now: datetime) -> Standing:
    """Sum up the entries of an inbox."""

    def labelled(*labels: str) -> tuple[str, ...]:
        return tuple(each.id for each in entries if each.state.label in labels)

    took = [
        (each.state.history[-1].time - each.request.filed_at) / timedelta(hours=1)
        for each in entries
        if each.request and each.state.outcome is Outcome.FULFILLED
    ]
    tired = tuple(each.id for each in entries if each.state.label == "failed" and failures(each.state) >= ATTEMPTS)
    return Standing(
        model=model,
        at=now,
        champion=champion,
        pending=labelled(Status.PENDING),
        running=labelled(Status.CLAIMED),
        waiting=labelled(Status.WAITING),
        fulfilled=labelled(Outcome.FULFILLED),
        nothing_to_remove=labelled(Outcome.NOTHING),
        failed=labelled(Outcome.FAILED),
        rejected=labelled(Outcome.REJECTED),
        overdue=tuple(each.id for each in entries if each.is_overdue(now)),
        for_a_person=(*tired, *labelled(Outcome.REJECTED, Status.WAITING)),
        hours_to_close=(median(took), max(took)) if took else None,
    )


def next_runs(box: Inbox) -> list[list[str]]:
    """The ids of the requests that are to be worked on now, run by run.

    All that nobody has worked on yet together, the first due first: a run costs about the same for one as for several.
    Then each one that failed together with others by itself, so that no request fails for another's sake.
    """
    last = datetime.max.replace(tzinfo=UTC)
    entries = box.requests()
    new = sorted(box.claimable(entries), key=lambda each: ((each.request and each.request.due) or last, each.id))
    alone = [each.id for each in entries if each.state.label == "failed" and failures(each.state) < ATTEMPTS]
    return ([[each.id for each in new]] if new else []) + [[each] for each in alone]


def failures(state: RequestState) -> int:
    """How often a request failed the gate since a person last retried it."""
    count = 0
    for event in state.history:
        if event.status is Outcome.FAILED:
            count += 1
        elif event.status is Status.PENDING and event.reason == BY_HAND:
            count = 0
    return count
