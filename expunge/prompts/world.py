"""Factor worlds: templates × factors (subject, style, mood …), each wording on the train or the held-out side.

Unlearning uses train-level wordings only; evaluation also asks with held-out ones, so that a model which merely
learned to dodge a phrase is found out.
"""

import random
import string
from collections.abc import Collection, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from expunge.errors import ExpungeError
from expunge.takedown.names import check_name, check_words, same_name
from expunge.takedown.plain_yaml import describe, read_plain_yaml
from expunge.takedown.request import Kind

Side = Literal["train", "held_out"]
STRATUM_FACTORS = ("subject", "style")  # of a world that does not say what its kinds mean
KINDS = {
    Kind.OBJECT: ("subject",),
    Kind.CLASS: ("subject",),
    Kind.STYLE: ("style",),
    Kind.CONCEPT: STRATUM_FACTORS,
}  # and what they mean there
PICTURE = "picture"  # the factor whose levels are memorised pictures, and whose wordings are whole captions
_DEPTH = 5  # factors, one of them, a level, its side, its wordings


def fill(template: str, words: Mapping[str, str]) -> str:
    """The sentence that a template makes of words: the only place that fills one. Spaces are single."""
    return " ".join(template.format_map(words).split())


class Level(BaseModel):
    """One level of a factor, e.g. ``cat`` of ``subject``: how prompts name it, and the group it belongs to."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    train: list[str] = Field(default_factory=list)
    held_out: list[str] = Field(default_factory=list)
    group: str = ""

    @field_validator("train", "held_out")
    @classmethod
    def _wordings_are_words(cls, wordings: list[str]) -> list[str]:
        return [check_words(each) for each in wordings]

    def wordings(self, side: Side) -> list[str]:
        """The level's wordings on one side."""
        return self.train if side == "train" else self.held_out


class Prompt(BaseModel):
    """A sentence and what it asks for, level by level."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    text: str
    factors: dict[str, str]
    side: Side
    template: int = Field(description="index of the template within its side")
    words: dict[str, str] = Field(default_factory=dict, description="the wording of each factor in the text")
    paired: str | None = Field(default=None, description="what is to be drawn instead, where it asks for a target")
    endangered: bool = Field(default=False, description="what a takedown may take along: a stratum of its own")

    @property
    def stratum(self) -> str:
        """What batches are balanced over: the levels of ``subject`` and ``style``, e.g. ``cat/noto``, else of all."""
        if self.endangered:
            return self.text
        named = [name for name in STRATUM_FACTORS if name in self.factors]
        return "/".join(self.factors[name] for name in named or self.factors)


class World(BaseModel):
    """What a model draws, as a world. The order of factors and levels is kept.

    ``kinds`` says which factors each kind of request can mean, e.g. ``{concept: [activity, attire]}``; where it is left
    out a style means the factor ``style``, an object or class ``subject``, a concept either. Sets are balanced over
    these factors (every combination is a stratum), and every template names each; all others (background, place, mood
    …) take turns. A level without wordings on a side is not asked for on that side. Requests may name other levels of
    the factors in ``open``, for a model that draws more than anybody could list. A memorised picture comes out under
    its captions as they are: levels of the factor ``picture`` stand in no template, and prompts over the world ask for
    none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    templates: dict[Side, list[str]]
    factors: dict[str, dict[str, Level]]
    kinds: dict[Kind, list[str]] = Field(default_factory=dict)
    open: list[str] = Field(default_factory=list)

    @model_validator(mode="after")
    def _templates_name_factors(self) -> "World":
        self._check_kinds()
        if empty := [name for name, levels in self.factors.items() if not levels]:
            raise ValueError(f"the factor {empty[0]!r} has no levels; give it some or leave it out")
        if not self.templates.get("train"):
            raise ValueError("a world needs at least one train template")
        if closed := [name for name in self.open if name not in self.balanced]:
            raise ValueError(f"open: {closed[0]!r} given; requests can name levels of {list(self.balanced)}")
        for factor, levels in self.factors.items():
            self._check_levels(factor, levels)
        for template in (each for templates in self.templates.values() for each in templates):
            self._check_template(template)
        return self

    def _check_kinds(self) -> None:
        if not self.kinds and "subject" not in self.factors:
            raise ValueError(
                "a world needs the factor 'subject', or 'kinds' that say which of its factors requests can mean, as in "
                "kinds: {concept: [activity]}"
            )
        if Kind.IMAGES in self.kinds:
            raise ValueError("kinds.images: given; a memorised picture is no level of a factor, leave it out")
        for kind, names in self.kinds.items():
            if not names:
                raise ValueError(f"kinds.{kind.value}: names no factor; give it one of {list(self.slots)}, or drop it")
            if unknown := [name for name in names if name not in self.slots]:
                raise ValueError(f"kinds.{kind.value}: {unknown[0]!r} given; the factors are {list(self.slots)}")

    def factors_of(self, kind: Kind) -> tuple[str, ...]:
        """Which factors of the world a kind of request can mean; none if it has nothing of that kind."""
        if kind is Kind.IMAGES:
            return (PICTURE,)
        if self.kinds:
            return tuple(self.kinds.get(kind, ()))
        return tuple(name for name in KINDS[kind] if name in self.factors)

    @property
    def balanced(self) -> tuple[str, ...]:
        """The factors that requests can mean: sets are balanced over them, every prompt asks for a level of each."""
        return tuple(dict.fromkeys(name for kind in KINDS for name in self.factors_of(kind)))

    def _check_levels(self, factor: str, levels: dict[str, Level]) -> None:
        known: dict[str, str] = {}
        for name, level in levels.items():
            try:
                check_name(name)
            except ValueError as error:
                raise ValueError(f"factors.{factor}: the level {name!r} {error}") from error
            if (twin := known.setdefault(same_name(name), name)) != name:
                raise ValueError(f"factors.{factor}: {twin!r} and {name!r} are one name; keep one of them")
            if factor in (*self.balanced, PICTURE) and "" in (*level.train, *level.held_out):
                raise ValueError(f"factors.{factor}.{name}: a wording is empty, so its prompts would not ask for it")

    def _check_template(self, template: str) -> None:
        try:
            check_words(template)
            fields = [each for each in string.Formatter().parse(template) if each[1] is not None]
        except ValueError as error:
            raise ValueError(f"template {template!r}: {error}") from error
        named = {field for _, field, _, _ in fields}
        if unknown := sorted(str(each) for each in named - set(self.slots)):
            raise ValueError(f"template {template!r} names {unknown[0]!r}, not one of {list(self.slots)}")
        if any(spec or conversion for _, _, spec, conversion in fields):
            raise ValueError(f"template {template!r} formats a factor; write its plain name in braces")
        if missing := [name for name in self.balanced if name not in named]:
            raise ValueError(f"template {template!r} leaves out {missing[0]!r}, so its prompts would not ask for it")

    @property
    def slots(self) -> dict[str, dict[str, Level]]:
        """The factors that sentences are made of: all but the memorised pictures."""
        return {name: levels for name, levels in self.factors.items() if name != PICTURE}

    def prompt(self, factors: dict[str, str], side: Side, rng: random.Random, template: int | None = None) -> Prompt:
        """One prompt for the given levels; wording, and the template if none is given, drawn from ``rng``.

        Falls back to the level's name where it has no wording on that side.
        """
        templates = self._templates(side)
        index = rng.randrange(len(templates)) if template is None else template % len(templates)
        words = {}
        for name, level in factors.items():
            wordings = self.factors[name][level].wordings(side)
            words[name] = rng.choice(wordings) if wordings else level
        return Prompt(text=self.render(words, side, index), factors=factors, side=side, template=index, words=words)

    def render(self, words: Mapping[str, str], side: Side, template: int) -> str:
        """The sentence of one template with a wording for each factor; one without a wording is left out.

        The caption of a memorised picture is a sentence by itself.
        """
        if PICTURE in words:
            return words[PICTURE]
        return fill(self._templates(side)[template], dict.fromkeys(self.factors, "") | dict(words))

    def reworded(self, prompt: Prompt, factor: str, wording: str) -> Prompt:
        """The prompt with other words for one factor; all others, and what it is said to ask for, stay."""
        words = prompt.words | {factor: wording}
        return prompt.model_copy(
            update={"text": self.render(words, prompt.side, prompt.template), "words": words, "paired": None}
        )

    def _templates(self, side: Side) -> list[str]:
        """Of one side; a world without held-out ones asks with those of training."""
        return self.templates.get(side) or self.templates["train"]

    def strata(self) -> list[dict[str, str]]:
        """Every combination of levels of the balanced factors, e.g. of subject and style, in world order."""
        levels = [self.factors[name] for name in self.balanced]
        return [dict(zip(self.balanced, each, strict=True)) for each in product(*levels)]

    def strata_with(self, factor: str, levels: Collection[str]) -> list[dict[str, str]]:
        """The strata that ask for one of the levels of a factor; of a factor beside the strata every one with each."""
        if factor == PICTURE:
            return [{PICTURE: level} for level in levels]
        strata = self.strata()
        if factor in strata[0]:
            return [stratum for stratum in strata if stratum[factor] in levels]
        return [stratum | {factor: level} for stratum in strata for level in levels]

    def sample(
        self, side: Side, per_stratum: int, seed: int, strata: Sequence[dict[str, str]] | None = None
    ) -> list[Prompt]:
        """``per_stratum`` prompts for every stratum: balanced over strata, templates and the other factors.

        Templates and the levels of the remaining factors take turns, from a random start, so that each comes up
        about equally often within a stratum.

        Args:
            strata: some of ``strata_with``; all of the world if not given.

        Returns:
            Prompts ordered by stratum; the same for the same seed.
        """
        strata = self.strata() if strata is None else strata
        others = {
            name: [level for level, words in levels.items() if words.wordings(side)]
            for name, levels in self.slots.items()
            if name not in strata[0] and PICTURE not in strata[0]
        }
        prompts = []
        for stratum in strata:
            # Seeded by the stratum's name: adding a subject to the world leaves the prompts of all others as they were.
            rng = random.Random(f"{seed}/{side}/{sorted(stratum.items())}")
            start = rng.randrange(1000)
            starts = [start, *(rng.randrange(1000) for _ in range(1, len(others)))]  # own ones: no two go in step
            for turn in range(per_stratum):
                rest = {
                    name: levels[(first + turn) % len(levels)]
                    for first, (name, levels) in zip(starts, others.items(), strict=False)
                    if levels
                }
                prompts.append(self.prompt(stratum | rest, side, rng, template=start // 7 + turn))
        return prompts


def read_world(path: Path) -> World:
    """Read a world from YAML, as strictly as a request: every word stays the word that it is (``no``, ``2024``).

    Raises:
        ExpungeError: the file is missing or is not a world; the message names the field.
    """
    try:
        return World.model_validate(read_plain_yaml(path.read_bytes(), _DEPTH))
    except ExpungeError as error:
        raise ExpungeError(f"world {path}: is {error}") from error
    except ValidationError as error:
        raise ExpungeError(f"world {path}: {_said(error)}") from error
    except OSError as error:
        raise ExpungeError(
            f"world {path}: cannot be read: {error.strerror or error}; give a YAML file or a known name"
        ) from error
    except ValueError as error:  # of the path
        raise ExpungeError(f"world {str(path)!r}: cannot be read: {error}; give a YAML file or a known name") from error


def _said(error: ValidationError) -> str:
    """The first of pydantic's errors in one line."""
    return "; ".join(
        describe(each, World.model_fields if len(each["loc"]) < 2 else Level.model_fields)
        for each in error.errors()[:3]
    )
