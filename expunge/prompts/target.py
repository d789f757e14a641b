"""What a takedown request means in a world: the factor and the levels to be forgotten."""

from collections.abc import Mapping
from difflib import get_close_matches

from pydantic import BaseModel, ConfigDict

from expunge.errors import ExpungeError
from expunge.prompts.world import PICTURE, Level, Prompt, World
from expunge.takedown.instead import read_instead
from expunge.takedown.names import code_point, look, same_name
from expunge.takedown.request import Kind, TakedownBatch, TakedownRequest

MOST_LISTED = 40  # names in a message
# They stand in sentences about anything: forgotten by themselves they would take everything along.
FUNCTION_WORDS = {
    "a", "an", "and", "are", "as", "at", "be", "but", "by", "for", "from", "in", "into", "is", "it", "its", "of", "on",
    "or", "that", "the", "these", "this", "those", "to", "was", "with",
}  # fmt: skip


class Target(BaseModel):
    """A request resolved against a world: forget every prompt whose ``factor`` is one of ``levels``."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    request_id: str
    kind: Kind
    name: str
    factor: str
    levels: tuple[str, ...]
    instead: str = ""  # what is to be drawn in its place, as the request says, a neighbour by its level's name

    def matches(self, prompt: Prompt) -> bool:
        """Whether the prompt asks for the target."""
        return prompt.factors.get(self.factor) in self.levels

    def groups(self, world: World) -> set[str]:
        """The semantic groups its levels belong to: in-domain for IRA."""
        return {world.factors[self.factor][level].group for level in self.levels} - {""}


def resolve_target(request: TakedownRequest, world: World) -> Target:
    """Find what the request names among the things the model draws.

    A name means the level of that name, else the levels with such a wording, else, for a ``concept``, a group with all
    its levels; case and the form of letters do not matter. The target decides. Synonyms are other names of it: one
    that the world does not know is left at that, one that means something else is refused. Only where the world does
    not know the target does the first synonym that it knows stand in.

    Raises:
        ExpungeError: nothing that the model draws is of that kind or goes by that name, and the message lists what
            there is; the name means several things; or a synonym means something else.
    """
    if not world.factors_of(request.kind):
        raise _no_such_kind(request.kind, world)
    named = [(name, meanings_of(name, request.kind, world)) for name in (request.target, *request.synonyms)]
    name, meanings = next((each for each in named if each[1]), ("", []))
    if not meanings:
        raise _unknown(request, world)
    if len(meanings) > 1:
        raise ExpungeError(
            f"target: '{name}' means {' and '.join(map(_said, meanings))}; {_told_apart(meanings, world)}"
        )
    [(factor, levels)] = meanings
    for synonym, others in named:
        for other in others:
            if other[0] != factor or not set(other[1]) <= set(levels):
                raise ExpungeError(
                    f"synonyms: '{synonym}' means {_said(other)}, while '{name}' means {_said(meanings[0])}; drop it, "
                    "and file a request of its own if both are to go"
                )
    return _target(request, factor, levels).model_copy(update={"instead": _instead(request, factor, levels, world)})


def _target(request: TakedownRequest, factor: str, levels: tuple[str, ...]) -> Target:
    return Target(request_id=request.id, kind=request.kind, name=request.target, factor=factor, levels=levels)


def _instead(request: TakedownRequest, factor: str, levels: tuple[str, ...], world: World) -> str:
    """What the request wants drawn in the target's place, the neighbour by its level's name; "" if it does not say."""
    if not request.instead:
        return ""
    what, name = read_instead(request.instead)
    if not name:
        return what
    if factor == PICTURE:
        raise ExpungeError(f"instead: '{name}' cannot be named for a picture; write neighbour, content or nothing")
    known = world.factors[factor]
    found = [level for _, level in _called(name, {factor: known})]
    if not found:
        raise ExpungeError(
            f"instead: the model draws no {factor} called '{name}' to put in the place of '{request.target}'. "
            f"It draws {_listed(list(known))}."
        )
    if found[0] in levels:
        raise ExpungeError(f"instead: '{name}' is the target itself; name another {factor}, or leave it to the run")
    return f"{what}:{found[0]}"


def meanings_of(name: str, kind: Kind, world: World) -> list[tuple[str, tuple[str, ...]]]:
    """Factor and levels that a name can mean, in world order: by the nearest kind of likeness that there is."""
    factors = {factor: world.factors[factor] for factor in world.factors_of(kind) if factor in world.factors}
    if found := _called(name, factors):
        return [(factor, (level,)) for factor, level in found]
    members: dict[str, tuple[str, ...]] = {}
    for factor, known, level in _levels(factors):
        if kind is Kind.CONCEPT and level.group and same_name(level.group) == same_name(name):
            members[factor] = (*members.get(factor, ()), known)
    return list(members.items())


def _called(name: str, factors: Mapping[str, Mapping[str, Level]]) -> list[tuple[str, str]]:
    """Factor and name of the levels that are called so; where none is, of those that have such a wording."""
    asked, levels = same_name(name), _levels(factors)
    by_name = [(factor, known) for factor, known, _ in levels if same_name(known) == asked]
    return by_name or [
        (factor, known) for factor, known, level in levels if asked in map(same_name, (*level.train, *level.held_out))
    ]


def _levels(factors: Mapping[str, Mapping[str, Level]]) -> list[tuple[str, str, Level]]:
    return [(factor, name, level) for factor, levels in factors.items() for name, level in levels.items()]


def _said(meaning: tuple[str, tuple[str, ...]]) -> str:
    factor, levels = meaning
    return f"the {factor} {', '.join(map(repr, levels))}"


def _told_apart(meanings: list[tuple[str, tuple[str, ...]]], world: World) -> str:
    """How to ask for one of several meanings: by kinds that stand for one factor alone, where each has one."""
    kinds = {factor: [kind.value for kind in Kind if world.factors_of(kind) == (factor,)] for factor, _ in meanings}
    if len(kinds) == len(meanings) and all(kinds.values()):
        return (
            f"file a request for each, of kind {' or '.join(found[0] for found in kinds.values())} and by its own name"
        )
    return "file a request for each, by a name that only one of them has"


def _no_such_kind(kind: Kind, world: World) -> ExpungeError:
    mapped = [each.value for each in Kind if each is not Kind.IMAGES and world.factors_of(each)]
    first, *_ = factors = list(world.slots)
    return ExpungeError(
        f"kind: nothing in this world is of kind '{kind.value}'; file it as {' or '.join(mapped)}, or say in the world "
        f"which of its factors ({', '.join(factors)}) it means, as in kinds: {{{kind.value}: [{first}]}}"
    )


def names_nothing(name: str) -> bool:
    """Whether it is made of function words alone."""
    return FUNCTION_WORDS.issuperset(same_name(name).split())


def _unknown(request: TakedownRequest, world: World) -> ExpungeError:
    """That the model draws no such thing, with the names that come near, and what it draws."""
    for name in filter(names_nothing, (request.target, *request.synonyms)):
        return ExpungeError(f"target: '{name}' names nothing, it stands in sentences about anything; name the thing")
    factors = {name: world.factors[name] for name in world.factors_of(request.kind) if name in world.factors}
    known: dict[str, str] = {}
    for levels in factors.values():
        for name, level in levels.items():
            for each in (name, *level.train, *level.held_out, *([level.group] if request.kind is Kind.CONCEPT else [])):
                known.setdefault(look(each), each)
    close = get_close_matches(look(request.target), known, n=1, cutoff=0.7)
    hint = f" Did you mean '{known[close[0]]}'?" if close else ""
    if close and (odd := [each for each in request.target if not each.isascii() and each not in known[close[0]]]):
        hint += f" ('{odd[0]}' is {code_point(odd[0])}.)"
    drawn = "; ".join(f"{factor}: {_listed(list(levels))}" for factor, levels in factors.items())
    return ExpungeError(
        f"target: the model draws no {request.kind.value} called '{request.target}'.{hint} It draws {drawn or 'none'}."
    )


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - MOST_LISTED} more" if len(names) > MOST_LISTED else ""
    return ", ".join(names[:MOST_LISTED]) + more


def resolve_targets(batch: TakedownBatch, world: World) -> list[Target]:
    """Every request of a batch, resolved.

    Raises:
        ExpungeError: one of them names nothing the model draws.
    """
    return [resolve_target(request, world) for request in batch.requests]


def resolve_forgotten(batch: TakedownBatch, world: World) -> list[Target]:
    """What earlier runs forgot, as far as the world asks for it.

    Of a request that today would be refused, all that it can mean is taken: what is forgotten twice does no harm, what
    is retained by mistake comes back.
    """
    found = []
    for request in batch.forgotten:
        try:
            found.append(resolve_target(request, world))
        except ExpungeError:
            names = (request.target, *request.synonyms)
            meanings = dict.fromkeys(each for name in names for each in meanings_of(name, request.kind, world))
            found += [_target(request, *each) for each in meanings]
    return found


def unworkable(batch: TakedownBatch, world: World) -> dict[str, str]:
    """Which requests of a batch no run could work on, by id, and why: alone, or after those that come before them.

    Of requests that are impossible together, because nothing would be left to retain, the first ones stay.
    """
    gone: dict[str, set[str]] = {name: set() for name in world.factors}
    for target in resolve_forgotten(batch, world):
        gone[target.factor] |= set(target.levels)
    reasons, targets = {}, []
    for request in batch.requests:
        try:
            targets.append(resolve_target(request, world))
        except ExpungeError as error:
            reasons[request.id] = str(error)
    asked = {(target.factor, level) for target in targets for level in target.levels}
    for target in targets:
        factor, everything = target.factor, set(world.factors[target.factor])
        neighbour = read_instead(target.instead)[1] if target.instead else ""
        if neighbour in gone[factor] or (factor, neighbour) in asked:
            reasons[target.request_id] = (
                f"instead: '{neighbour}' is itself to be forgotten, or was before; name another {factor}, or leave it "
                "to the run"
            )
        elif factor != PICTURE and everything <= gone[factor] | set(target.levels):
            others = ", ".join(sorted(everything - set(target.levels))) or "there is none"
            reasons[target.request_id] = (
                f"target: every other {factor} that the model draws is forgotten or asked for already "
                f"({others}): nothing of its kind would be left to retain; retry it if one of these fails"
            )
        else:
            gone[factor] |= set(target.levels)
    return reasons
