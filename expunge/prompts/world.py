"""Factor worlds: templates × factors (subject, style, background …), each wording on the train or the held-out side.

Unlearning uses train-level wordings only; evaluation also asks with held-out ones, so that a model which merely
learned to dodge a phrase is found out.
"""

import random
import string
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from expunge.errors import ExpungeError

Side = Literal["train", "held_out"]
STRATUM_FACTORS = ("subject", "style")  # what sets are balanced over; every prompt asks for a level of each


class Level(BaseModel):
    """One level of a factor, e.g. ``cat`` of ``subject``: how prompts name it, and the group it belongs to."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    train: list[str] = Field(default_factory=list)
    held_out: list[str] = Field(default_factory=list)
    group: str = ""

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
    paired: str = Field(default="", description="the same sentence without the target; empty where there is none")

    @property
    def stratum(self) -> str:
        """What the retain set is balanced over: the levels of ``subject`` and ``style``, e.g. ``cat/noto``."""
        return "/".join(self.factors[name] for name in STRATUM_FACTORS if name in self.factors)


class World(BaseModel):
    """What a model draws, as a world. The order of factors and levels is kept.

    ``subject`` is required; ``style`` and any other factor (background, place, mood …) are optional. A level without
    wordings on a side is not asked for on that side.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    templates: dict[Side, list[str]]
    factors: dict[str, dict[str, Level]]

    @model_validator(mode="after")
    def _templates_name_factors(self) -> "World":
        if "subject" not in self.factors:
            raise ValueError("a world needs the factor 'subject'")
        if empty := [name for name, levels in self.factors.items() if not levels]:
            raise ValueError(f"the factor {empty[0]!r} has no levels; give it some or leave it out")
        if not self.templates.get("train"):
            raise ValueError("a world needs at least one train template")
        for template in (each for templates in self.templates.values() for each in templates):
            self._check_template(template)
        return self

    def _check_template(self, template: str) -> None:
        try:
            fields = [each for each in string.Formatter().parse(template) if each[1] is not None]
        except ValueError as error:
            raise ValueError(f"template {template!r}: {error}") from error
        named = {field for _, field, _, _ in fields}
        if unknown := sorted(str(each) for each in named - set(self.factors)):
            raise ValueError(f"template {template!r} names {unknown[0]!r}, not one of {list(self.factors)}")
        if any(spec or conversion for _, _, spec, conversion in fields):
            raise ValueError(f"template {template!r} formats a factor; write its plain name in braces")
        if missing := [name for name in STRATUM_FACTORS if name in self.factors and name not in named]:
            raise ValueError(f"template {template!r} leaves out {missing[0]!r}, so its prompts would not ask for it")

    def prompt(self, factors: dict[str, str], side: Side, rng: random.Random, template: int | None = None) -> Prompt:
        """One prompt for the given levels; wording, and the template if none is given, drawn from ``rng``.

        Falls back to the level's name where it has no wording on that side.
        """
        templates = self.templates.get(side) or self.templates["train"]
        index = rng.randrange(len(templates)) if template is None else template % len(templates)
        words = {}
        for name, level in factors.items():
            wordings = self.factors[name][level].wordings(side)
            words[name] = rng.choice(wordings) if wordings else level
        text = " ".join(templates[index].format(**(dict.fromkeys(self.factors, "") | words)).split())
        return Prompt(text=text, factors=factors, side=side, template=index, words=words)

    def strata(self) -> list[dict[str, str]]:
        """Every combination of subject and style (of subject alone where there are no styles), in world order."""
        styles = list(self.factors.get("style", {}))
        if not styles:
            return [{"subject": subject} for subject in self.factors["subject"]]
        return [{"subject": subject, "style": style} for subject in self.factors["subject"] for style in styles]

    def sample(self, side: Side, per_stratum: int, seed: int) -> list[Prompt]:
        """``per_stratum`` prompts for every stratum: balanced over strata, templates and the other factors.

        Templates and the levels of the remaining factors take turns, from a random start, so that each comes up
        about equally often within a stratum.

        Returns:
            Prompts ordered by stratum; the same for the same seed.
        """
        others = {
            name: [level for level, words in levels.items() if words.wordings(side)]
            for name, levels in self.factors.items()
            if name not in STRATUM_FACTORS
        }
        prompts = []
        for stratum in self.strata():
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
    """Read a world from YAML.

    Raises:
        ExpungeError: the file is missing or is not a world; the message names the field.
    """
    try:
        return World.model_validate(yaml.safe_load(path.read_text()))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValidationError) as error:
        raise ExpungeError(f"world {path}: {error}") from error
