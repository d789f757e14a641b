"""Prompt search: under which plain prompts does the target return?

Asked with are the world's own wordings, misspellings, sentences in another order of words, and prompts that ask for
something else. The best of many candidates looks better than it is: it is drawn again from fresh noise before its share
is believed.
"""

import random
from collections.abc import Iterator, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from expunge.comeback.trial import Trial
from expunge.metrics.intervals import proportion
from expunge.metrics.numbers import Interval
from expunge.models.text_to_image import TextToImage
from expunge.progress import track
from expunge.prompts.world import Prompt
from expunge.settings import Settings

Way = Literal["wording", "misspelling", "word order", "unrelated"]


class PromptSearchSettings(Settings):
    """How many prompts are tried, and how often each."""

    misspellings: int = Field(default=8, ge=0, le=1000, description="of the target's names, as far as there are any")
    word_orders: int = Field(default=6, ge=0, le=1000)
    unrelated: int = Field(default=8, ge=0, le=1000, description="other levels; the empty prompt is always tried")
    pictures_each: int = Field(default=8, ge=1, le=10_000, description="pictures of each candidate")
    confirmed_with: int = Field(default=40, ge=2, le=100_000, description="pictures of the best candidate, drawn again")


class PromptRow(BaseModel):
    """One candidate.

    Attributes:
        way: how it was made.
        wording: what stands for the target in it, or what was asked for instead.
        example: one of its prompts.
        found: share of its pictures with the target, 0–1.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    way: Way
    wording: str
    example: str
    found: Interval


class PromptSearch(BaseModel):
    """All candidates, best first, and the best one's share in pictures drawn afresh."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    rows: tuple[PromptRow, ...]
    confirmed: Interval


def prompt_search(model: TextToImage, trial: Trial, settings: PromptSearchSettings, progress: str = "") -> PromptSearch:
    """Try every candidate, rank them by the share in which the target is found, and try the best one again.

    Args:
        model: the unlearned model.
        trial: what was forgotten, and how pictures are drawn and judged.
        settings: numbers of candidates and pictures.
        progress: label of the progress bar; none if empty.
    """
    candidates = list(_candidates(trial, settings))
    rng = random.Random(f"{trial.seed}/prompt search")
    seeds = [rng.randrange(2**31) for _ in range(settings.pictures_each)]
    fresh = [rng.randrange(2**31) for _ in range(settings.confirmed_with)]
    how = trial.case.drawing.how()

    def share(texts: Sequence[str], noise: Sequence[int]) -> Interval:
        asked = [texts[i % len(texts)] for i in range(len(noise))]
        return proportion(trial.found(model.draw(asked, noise, **how)), asked, what=trial.share_name)

    rows = [
        (PromptRow(way=way, wording=wording, example=texts[0], found=share(texts, seeds)), texts)
        for way, wording, texts in track(candidates, progress)
    ]
    rows.sort(key=lambda row: -row[0].found.value)  # stable: of equals the first tried
    return PromptSearch(rows=tuple(row for row, _ in rows), confirmed=share(rows[0][1], fresh))


def _candidates(trial: Trial, settings: PromptSearchSettings) -> Iterator[tuple[Way, str, list[str]]]:
    target, world, rng = trial.target, trial.case.world, random.Random(f"{trial.seed}/candidates")
    each_side = -(-max(settings.pictures_each, settings.confirmed_with) // 2)
    both = zip(trial.asked("train", each_side), trial.asked("held_out", each_side), strict=True)
    sentences = [prompt for pair in both for prompt in pair]
    levels = world.factors[target.factor]
    wordings = list(
        dict.fromkeys(
            each for name in target.levels for each in (name, *levels[name].train, *levels[name].held_out) if each
        )
    )
    for wording in wordings:
        yield "wording", wording, _with(sentences, trial, wording)
    known = {each for name, level in levels.items() for each in (name, *level.train, *level.held_out)}
    wrong = [each for name in target.levels for each in misspellings(name) if each not in known]
    for each in rng.sample(wrong, min(settings.misspellings, len(wrong))):
        yield "misspelling", each, _with(sentences, trial, each)
    for number in range(settings.word_orders):
        prompt = sentences[number % len(sentences)]
        words = prompt.text.split()
        rng.shuffle(words)
        yield "word order", prompt.words.get(target.factor, target.name), [" ".join(words)]
    others = [name for name in levels if name not in target.levels]
    for name in rng.sample(others, min(settings.unrelated, len(others))):
        yield "unrelated", name, _with(sentences, trial, (levels[name].train or [name])[0])
    yield "unrelated", "", [""]


def _with(sentences: list[Prompt], trial: Trial, wording: str) -> list[str]:
    """The sentences with another wording in the target's place."""
    world, factor = trial.case.world, trial.target.factor
    return [world.reworded(prompt, factor, wording).text for prompt in sentences]


def misspellings(name: str) -> list[str]:
    """Every spelling one slip away: a letter left out, doubled, or swapped with the next."""
    slips = []
    for i, letter in enumerate(name):
        slips += [name[:i] + name[i + 1 :], name[:i] + letter + name[i:]]
        if i + 1 < len(name):
            slips.append(name[:i] + name[i + 1] + letter + name[i + 2 :])
    return [each for each in dict.fromkeys(slips) if each.strip() and each != name]
