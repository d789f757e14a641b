"""A made-up world of two subjects in two styles: coloured discs and squares, drawn here."""

import torch

from expunge.zoo.emoji_world import EmojiWorld

SIZE = 32  # pixels of a drawing
COLOURS = {"red": (1.0, 0.1, 0.1), "green": (0.1, 0.9, 0.1)}

WORLD = EmojiWorld.model_validate(
    {
        "styles": {
            name: {"train": [name], "held_out": [f"{name} paint"], "package": f"@made-up/{name}"} for name in COLOURS
        },
        "subjects": {
            "disc": {
                "group": "shape",
                "icon": "disc",
                "train": ["disc", "circle"],
                "held_out": ["round thing"],
            },
            "square": {"group": "shape", "icon": "square", "train": ["square"], "held_out": ["box"]},
        },
        "backgrounds": {
            "white": {"rgb": [255, 255, 255], "words": "", "level": "train"},
            "blue": {"rgb": [0, 0, 255], "words": "on blue", "level": "train"},
            "pink": {"rgb": [255, 200, 200], "words": "on pink", "level": "held_out"},
        },
        "templates": {
            "train": ["{subject} in {style} {background}", "a {style} {subject} {background}"],
            "held_out": ["the {subject} of {style} {background}"],
        },
    }
)


def make_drawings() -> torch.Tensor:
    """Premultiplied RGBA in 0–1, ``(2 subjects, 2 styles, 4, 32, 32)``."""
    place = (torch.arange(SIZE) + 0.5) / SIZE * 2 - 1
    x, y = torch.meshgrid(place, place, indexing="xy")
    shapes = [(x.square() + y.square()).sqrt() < 0.7, (x.abs() < 0.6) & (y.abs() < 0.6)]
    drawn = torch.zeros(2, 2, 4, SIZE, SIZE)
    for subject, shape in enumerate(shapes):
        for style, colour in enumerate(COLOURS.values()):
            drawn[subject, style] = torch.tensor([*colour, 1.0])[:, None, None] * shape
    return drawn
