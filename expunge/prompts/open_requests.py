"""Open worlds: a request may name what the world does not list, and that becomes a level of its factor for the run."""

from collections.abc import Iterable

from expunge.prompts.target import meanings_of, names_nothing
from expunge.prompts.world import PICTURE, Level, World
from expunge.takedown.request import TakedownRequest


def opened(world: World, requests: Iterable[TakedownRequest]) -> World:
    """The world, and what requests name beside it.

    What none of a request's names means in the world becomes a level of the factor that its kind is about, if that is
    among ``world.open``. It is asked for by its target and its synonyms: on the train side by all of them but the
    first synonym, on the held-out side by that one, and by the target, in the held-out templates, where there is none.
    A memorised picture always becomes one, and is asked for by all its captions on both sides: under other words it may
    not come out, and would pass for not being there. The first request for something names it, whatever their order.
    A name of function words alone becomes none.
    """
    for request in sorted(requests, key=lambda each: (each.filed_at, each.id)):
        names = (request.target, *request.synonyms)
        if any(map(names_nothing, names)):
            continue
        factors = [factor for factor in world.factors_of(request.kind) if factor in (*world.open, PICTURE)]
        if len(factors) != 1 or any(meanings_of(name, request.kind, world) for name in names):
            continue
        level = Level(train=[names[0], *names[2:]], held_out=[names[1] if len(names) > 1 else names[0]])
        if factors == [PICTURE]:
            level = Level(train=list(names), held_out=list(names))
        levels = world.factors.get(factors[0], {}) | {request.target: level}
        world = World.model_validate(world.model_dump() | {"factors": world.factors | {factors[0]: levels}})
    return world
