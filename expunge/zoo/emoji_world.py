"""The zoo's world: its styles, subjects, backgrounds and wordings, read from ``world.yaml``."""

import random
from functools import cache
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict

from expunge.prompts.world import Level, Side, World, fill


class Style(BaseModel):
    """One artist: how prompts name it and the package its drawings come from."""

    model_config = ConfigDict(extra="forbid")
    train: list[str]
    held_out: list[str]
    package: str


class Subject(BaseModel):
    """One object: its semantic group, how prompts name it, and the icon that shows it."""

    model_config = ConfigDict(extra="forbid")
    group: str
    icon: str
    train: list[str]
    held_out: list[str]


class Background(BaseModel):
    """A plain background: its colour and the words that ask for it."""

    model_config = ConfigDict(extra="forbid")
    rgb: tuple[int, int, int]
    words: str
    level: Side


class EmojiWorld(BaseModel):
    """Everything the zoo model can draw. Order of subjects and styles is the order of class indices."""

    model_config = ConfigDict(extra="forbid")
    styles: dict[str, Style]
    subjects: dict[str, Subject]
    backgrounds: dict[str, Background]
    templates: dict[Side, list[str]]

    def caption(self, subject: str, style: str, background: str, rng: random.Random) -> str:
        """A random caption over all wordings, train and held-out, as pretraining uses them."""
        template = rng.choice(self.templates["train"] + self.templates["held_out"])
        chosen, hand = self.subjects[subject], self.styles[style]
        # Half of all captions use the plain name, so that it stays the strongest handle on the subject.
        name = subject if rng.random() < 0.5 else rng.choice(chosen.train + chosen.held_out)
        words = {"style": rng.choice(hand.train + hand.held_out), "background": self.backgrounds[background].words}
        return fill(template, words | {"subject": name})

    def vocabulary(self) -> list[str]:
        """Every word that a caption can hold, sorted."""
        nothing = {"subject": "", "style": "", "background": ""}
        texts = [fill(template, nothing) for side in self.templates.values() for template in side]
        named: list[Subject | Style] = [*self.subjects.values(), *self.styles.values()]
        for each in named:
            texts += each.train + each.held_out
        texts += [background.words for background in self.backgrounds.values()]
        texts += list(self.subjects) + list(self.styles)
        return sorted({word for text in texts for word in text.split()})


@cache
def emoji_world() -> EmojiWorld:
    """The world in ``world.yaml`` beside this file."""
    return EmojiWorld.model_validate(yaml.safe_load(Path(__file__).with_name("world.yaml").read_text(encoding="utf-8")))


def zoo_world() -> World:
    """The world as a world: what the zoo model draws, with train and held-out wordings."""
    world = emoji_world()
    subjects = {
        name: Level(train=subject.train, held_out=subject.held_out, group=subject.group)
        for name, subject in world.subjects.items()
    }
    styles = {name: Level(train=style.train, held_out=style.held_out) for name, style in world.styles.items()}
    backgrounds = {
        name: Level.model_validate({background.level: [background.words]})
        for name, background in world.backgrounds.items()
    }
    return World(templates=world.templates, factors={"subject": subjects, "style": styles, "background": backgrounds})
