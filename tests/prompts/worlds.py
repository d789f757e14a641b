"""Prompt worlds of all shapes, and requests to resolve against them."""

from datetime import UTC, datetime

from hypothesis import strategies as st

from expunge.prompts.world import Level, World
from expunge.takedown.request import Kind, TakedownRequest


def _wordings(name: str, most: int) -> st.SearchStrategy[list[str]]:
    return st.integers(1, most).map(lambda count: [f"{name} word{number}" for number in range(count)])


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Up to 4 subjects × 3 styles (or none) × 2 other factors, each level with wordings on both sides."""
    sizes = {"subject": draw(st.integers(1, 4)), "style": draw(st.integers(0, 3))}
    sizes |= {name: draw(st.integers(1, 4)) for name in ("place", "mood")[: draw(st.integers(0, 2))]}
    factors = {
        factor: {
            f"{factor}{number}": Level(
                train=draw(_wordings(f"{factor}{number} shown", 2)),
                held_out=draw(_wordings(f"{factor}{number} hidden", 2)),
                group=draw(st.sampled_from(["", "odd", "even"])),
            )
            for number in range(size)
        }
        for factor, size in sizes.items()
        if size
    }
    slots = " ".join(f"{{{name}}}" for name in factors)
    templates = {
        side: [f"{side} template{number} {slots}" for number in range(draw(st.integers(1, 4)))]
        for side in ("train", "held_out")
    }
    return World(templates=templates, factors=factors)


def request(kind: Kind, target: str, synonyms: tuple[str, ...] = ()) -> TakedownRequest:
    pictures = ("one.png",) if kind is Kind.IMAGES else ()
    return TakedownRequest(
        id="a-request",
        kind=kind,
        target=target,
        synonyms=synonyms,
        pictures=pictures,
        filed_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
