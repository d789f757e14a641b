"""Targets as people type them: ``KIND:NAME``."""

from collections.abc import Sequence
from datetime import UTC, datetime

from pydantic import ValidationError

from expunge.errors import ExpungeError
from expunge.prompts.target import Target, resolve_target
from expunge.prompts.world import World
from expunge.takedown.plain_yaml import describe
from expunge.takedown.request import Kind, TakedownRequest

KINDS = tuple(kind.value for kind in Kind if kind is not Kind.IMAGES)


def read_targets(given: Sequence[str], world: World) -> list[Target]:
    """Find each ``KIND:NAME``, e.g. ``object:cat``, in the world. What is given twice, or by two names, counts once.

    Raises:
        ExpungeError: it is not of that form, the kind is unknown, or the model draws no such thing.
    """
    found: dict[tuple[str, tuple[str, ...]], Target] = {}
    for request in named_requests(given):
        target = resolve_target(request, world)
        found.setdefault(
            (target.factor, target.levels), target.model_copy(update={"request_id": f"target-{len(found) + 1}"})
        )
    return list(found.values())


def named_requests(given: Sequence[str]) -> list[TakedownRequest]:
    """Each ``KIND:NAME`` as a request that nobody filed.

    Raises:
        ExpungeError: it is not of that form, or the kind is unknown.
    """
    return [_read(text, number) for number, text in enumerate(given, 1)]


def _read(text: str, number: int) -> TakedownRequest:
    kind, colon, name = (part.strip() for part in text.partition(":"))
    if not colon or not name or kind not in KINDS:
        raise ExpungeError(f"target: '{text}' given; write KIND:NAME, e.g. object:cat. Kinds: {', '.join(KINDS)}.")
    try:
        return TakedownRequest(
            id=f"target-{number}", kind=Kind(kind), target=name, filed_at=datetime(1970, 1, 1, tzinfo=UTC)
        )
    except ValidationError as error:
        raise ExpungeError(describe(error.errors()[0], TakedownRequest.model_fields)) from error
