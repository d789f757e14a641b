"""What a takedown request means in a world: the factor and the levels to be forgotten."""

from pydantic import BaseModel, ConfigDict

from expunge.errors import ExpungeError
from expunge.prompts.world import Prompt, World
from expunge.takedown.request import Kind, TakedownBatch, TakedownRequest, same_name

# Which factors a kind of request can mean, first match wins.
FACTORS_OF_KIND = {
    Kind.OBJECT: ("subject",),
    Kind.CLASS: ("subject",),
    Kind.STYLE: ("style",),
    Kind.CONCEPT: ("subject", "style"),
    Kind.IMAGES: ("subject", "style"),
}


class Target(BaseModel):
    """A request resolved against a world: forget every prompt whose ``factor`` is one of ``levels``."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    request_id: str
    kind: Kind
    name: str
    factor: str
    levels: tuple[str, ...]

    def matches(self, prompt: Prompt) -> bool:
        """Whether the prompt asks for the target."""
        return prompt.factors.get(self.factor) in self.levels

    def groups(self, world: World) -> set[str]:
        """The semantic groups its levels belong to: in-domain for IRA."""
        return {world.factors[self.factor][level].group for level in self.levels} - {""}


def resolve_target(request: TakedownRequest, world: World) -> Target:
    """Find what the request names among the things the model draws.

    A name matches a level by its own name or by any of its wordings, ignoring case and the form of letters; a
    ``concept`` may also name a group, and then means every level of it.

    Raises:
        ExpungeError: nothing the model draws goes by that name; the message lists what it draws.
    """
    if (found := _find(request, world)) is not None:
        return found
    factors = [name for name in FACTORS_OF_KIND[request.kind] if name in world.factors]
    drawn = "; ".join(f"{name}: {', '.join(world.factors[name])}" for name in factors)
    raise ExpungeError(
        f"target: the model draws no {request.kind.value} called '{request.target}'. "
        f"It draws {drawn or 'no such kind'}."
    )


def _find(request: TakedownRequest, world: World) -> Target | None:
    asked = {same_name(name) for name in (request.target, *request.synonyms)}
    for factor in (name for name in FACTORS_OF_KIND[request.kind] if name in world.factors):
        levels = world.factors[factor]
        for name, level in levels.items():
            known = {same_name(each) for each in (name, *level.train, *level.held_out) if each}
            if asked & known:
                return _target(request, factor, (name,))
        if request.kind is Kind.CONCEPT:
            members = tuple(name for name, level in levels.items() if level.group and same_name(level.group) in asked)
            if members:
                return _target(request, factor, members)
    return None


def _target(request: TakedownRequest, factor: str, levels: tuple[str, ...]) -> Target:
    return Target(request_id=request.id, kind=request.kind, name=request.target, factor=factor, levels=levels)


def resolve_targets(batch: TakedownBatch, world: World) -> list[Target]:
    """Every request of a batch, resolved.

    Raises:
        ExpungeError: one of them names nothing the model draws.
    """
    return [resolve_target(request, world) for request in batch.requests]


def resolve_forgotten(batch: TakedownBatch, world: World) -> list[Target]:
    """What earlier runs forgot, as far as the world asks for it."""
    found = (_find(request, world) for request in batch.forgotten)
    return [target for target in found if target is not None]
