"""A tiny world in which the truth is known: a picture is two patches, its subject's colour and its style's.

The judges really look at the pixels: a classifier finds the nearest colour in its half, CLIP embeds both.
"""

import random

import numpy as np

from expunge.judges.panel import Panel
from expunge.pictures.picture_set import PictureSet
from expunge.prompts.world import Level, Prompt, Side, World

COLOURS = {
    "subject": {
        "cat": (250, 20, 20),
        "dog": (20, 250, 20),
        "apple": (20, 20, 250),
        "pear": (240, 240, 20),
    },
    "style": {"noto": (20, 230, 230), "blob": (230, 20, 230), "flat": (10, 10, 10)},
}
HALVES = {"subject": slice(0, 4), "style": slice(4, 8)}
GROUPS = {"cat": "animal", "dog": "animal", "apple": "fruit", "pear": "fruit"}
WORLD = World(
    templates={
        "train": [f"{{subject}} by {{style}} number {number}" for number in range(12)],
        "held_out": [f"picture {number} of {{subject}} in {{style}} manner" for number in range(12)],
    },
    factors={
        "subject": {
            name: Level(train=[name, f"nice {name}"], held_out=[f"little {name}"], group=GROUPS[name])
            for name in COLOURS["subject"]
        },
        "style": {name: Level(train=[name], held_out=[name]) for name in COLOURS["style"]},
    },
)


class ColourClassifier:
    """Nearest colour in the half of the picture that shows the factor."""

    def __init__(self, factor: str) -> None:
        self.factor = factor
        self.levels = tuple(COLOURS[factor])

    def digest(self) -> str:
        return f"{type(self).__name__} {self.factor} {self.levels}"

    def recognise(self, pictures: np.ndarray) -> list[str]:
        seen = pictures[:, :, HALVES[self.factor]].mean(axis=(1, 2))
        centres = np.array([COLOURS[self.factor][level] for level in self.levels], dtype=float)
        nearest = ((seen[:, None] - centres[None]) ** 2).sum(axis=2).argmin(axis=1)
        return [self.levels[i] for i in nearest]


class ColourClip:
    """Features: mean colours of both halves, mid-grey being zero. Words stand for their colours."""

    name = "colour-clip"

    def __init__(self) -> None:
        self.pictures_seen = 0

    def digest(self) -> str:
        return "colours"

    def picture_features(self, pictures: np.ndarray) -> np.ndarray:
        self.pictures_seen += len(pictures)
        halves = [pictures[:, :, half].mean(axis=(1, 2)) - 127.5 for half in HALVES.values()]
        return self._unit(np.concatenate(halves, axis=1))

    def text_features(self, texts: list[str]) -> np.ndarray:
        rows = np.zeros((len(texts), 6))
        for row, text in zip(rows, texts, strict=True):
            for place, levels in enumerate(COLOURS.values()):
                for word, colour in levels.items():
                    if word in text.split():
                        row[3 * place : 3 * place + 3] = np.array(colour) - 127.5
        return self._unit(rows)

    def cut_off(self, texts: list[str]) -> list[bool]:
        return [False] * len(texts)

    @staticmethod
    def _unit(rows: np.ndarray) -> np.ndarray:
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def colour_panel() -> Panel:
    return Panel({factor: ColourClassifier(factor) for factor in COLOURS}, ColourClip())


def prompts_for(strata: list[tuple[str, str]], side: Side, per_stratum: int) -> list[Prompt]:
    rng = random.Random(0)
    asked = [{"subject": subject, "style": style} for subject, style in strata for _ in range(per_stratum)]
    return [WORLD.prompt(factors, side, rng) for factors in asked]


def draw(prompts: list[Prompt], seed: int, instead: dict[str, str] | None = None, noise: float = 8) -> PictureSet:
    """Pictures of the prompts, with pixel noise; ``instead`` draws other levels than asked, e.g. cat: dog."""
    pictures = np.empty((len(prompts), 8, 8, 3))
    for i, (picture, prompt) in enumerate(zip(pictures, prompts, strict=True)):
        for factor, half in HALVES.items():
            asked = prompt.factors[factor]
            picture[:, half] = COLOURS[factor][(instead or {}).get(asked, asked)]
        picture += np.random.default_rng((seed, i)).normal(0, noise, size=(1, 1, 3))
        picture += np.random.default_rng((seed, i, 1)).normal(0, noise, size=picture.shape)
    return PictureSet(tuple(prompts), tuple(range(len(prompts))), pictures.clip(0, 255).astype(np.uint8))
