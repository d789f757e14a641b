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
    for text in given:
        target = _read(text, len(found) + 1, world)
        found.setdefault((target.factor, target.levels), target)
    return list(found.values())


def _read(text: str, number: int, world: World) -> Target:
    kind, colon, name = (part.strip() for part in text.partition(":"))
    if not colon or not name or kind not in KINDS:
        raise ExpungeError(f"target: '{text}' given; write KIND:NAME, e.g. object:cat. Kinds: {', '.join(KINDS)}.")
    try:
        request = TakedownRequest(
            id=f"target-{number}", kind=Kind(kind), target=name, filed_at=datetime(1970, 1, 1, tzinfo=UTC)
        )
    except ValidationError as error:
        raise ExpungeError(describe(error.errors()[0], TakedownRequest.model_fields)) from error
    return resolve_target(request, world)
