"""Judges of digits: a classifier, and the features of another one, trained apart from it and from the denoiser.

As the zoo's classifiers, they have one class more than there are digits, ``none``, and have seen pictures that show
nothing: a broken picture counts as no digit.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from pydantic import Field
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from expunge.errors import ExpungeError
from expunge.judges.panel import Panel
from expunge.models.hashing import module_digest
from expunge.models.loading import LOADING
from expunge.progress import progress_bar
from expunge.settings import Settings
from expunge.zoo.classifiers import NONE, degrade, showing_nothing
from expunge.zoo.digits.digits_data import CLASSES, SIZE, Digits
from expunge.zoo.training import Schedule, fit

WIDTH = 32  # of the features; few, so that FD needs few pictures
ENLARGED = 8  # times: the zoo's ways to spoil a picture are made for 64×64
FORMAT_VERSION = 1


class JudgeRecipe(Settings):
    """How each of the two networks is trained."""

    seeds: tuple[int, int] = Field(default=(101, 202), description="of the classifier and of the features")
    steps: int = Field(default=600, ge=1)
    batch_size: int = Field(default=64, ge=4, le=4096, description="a quarter as many pictures of nothing are added")
    learning_rate: float = Field(default=3e-3, gt=0, le=1)


def make_network() -> nn.Sequential:
    """RGB pictures ``(n, 3, 8, 8)`` in −1–1 to ``(n, 11)`` logits; all but the last layer gives the features."""
    layers: list[nn.Module] = []
    for inputs, outputs, stride in ((3, 32, 1), (32, 64, 2), (64, 64, 2)):
        layers += [nn.Conv2d(inputs, outputs, 3, stride, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()]
    layers += [nn.Flatten(), nn.Linear(64 * 4, WIDTH), nn.Tanh(), nn.Linear(WIDTH, len(CLASSES) + 1)]
    return nn.Sequential(*layers)


class DigitClassifier:
    """Says which digit a picture shows, or ``none``."""

    factor = "subject"
    levels = CLASSES

    def __init__(self, network: nn.Sequential) -> None:
        self.network = network.eval().requires_grad_(False)

    def digest(self) -> str:
        """SHA-256 of its weights."""
        return module_digest(self.network, *CLASSES)

    def recognise(self, pictures: np.ndarray) -> list[str]:
        """The most probable digit in each uint8 picture ``(n, 8, 8, 3)``, or ``none``.

        Raises:
            ExpungeError: pictures of another size.
        """
        names = (*CLASSES, NONE)
        return [names[index] for index in self.network(_inputs(pictures)).argmax(dim=1).tolist()]


class DigitFeatures:
    """Features of a classifier's last layer but one, in which a text, the name of a digit, is the mean of its pictures.

    It takes the place of CLIP, and like CLIP it gives cosines; it was taught the digits, as CLIP is not.
    """

    name = "digits-features"

    def __init__(self, network: nn.Sequential, class_vectors: Tensor) -> None:
        self.network, self.class_vectors = network.eval().requires_grad_(False), class_vectors

    def cut_off(self, texts: list[str]) -> list[bool]:
        """A class is read whole."""
        return [False] * len(texts)

    def digest(self) -> str:
        """SHA-256 of its weights and class vectors."""
        return module_digest(self.network, str(self.class_vectors.tolist()))

    def picture_features(self, pictures: np.ndarray) -> np.ndarray:
        """Features of uint8 pictures ``(n, 8, 8, 3)``: float32 ``(n, 32)``, rows of length 1.

        Raises:
            ExpungeError: pictures of another size.
        """
        return features(self.network, _inputs(pictures)).numpy()

    def text_features(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors of the digits that are named: float32 ``(n, 32)``, rows of length 1.

        Raises:
            ExpungeError: a text names no digit.
        """
        if unknown := [text for text in texts if text not in CLASSES]:
            raise ExpungeError(f"judges: 'digits' know no '{unknown[0]}', but {', '.join(CLASSES)}; give others.")
        return self.class_vectors[[CLASSES.index(text) for text in texts]].numpy()


def features(network: nn.Sequential, inputs: Tensor) -> Tensor:
    """What the last layer sees of pictures ``(n, 3, 8, 8)`` in −1–1: ``(n, 32)``, rows of length 1."""
    return functional.normalize(network[:-1](inputs), dim=1)


def train_judges(digits: Digits, recipe: JudgeRecipe, progress: bool = True) -> Panel:
    """Both judges, on the same pictures from different seeds."""
    first, second = (_train(digits, recipe, seed, progress) for seed in recipe.seeds)
    seen = features(second, _rgb(digits.pictures))
    means = torch.stack([seen[digits.labels == number].mean(dim=0) for number in range(len(CLASSES))])
    return Panel({"subject": DigitClassifier(first)}, DigitFeatures(second, functional.normalize(means, dim=1)))


def save_judges(panel: Panel, folder: Path) -> None:
    """Write both judges below ``folder``."""
    classifier, clip = panel.classifiers["subject"], panel.clip
    assert isinstance(classifier, DigitClassifier) and isinstance(clip, DigitFeatures)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(classifier.network.state_dict(), folder / "classifier.safetensors")
    vectors = {"class_vectors": clip.class_vectors.contiguous()}
    save_file({**clip.network.state_dict(), **vectors}, folder / "features.safetensors")
    (folder / "judges.json").write_text(
        json.dumps({"format_version": FORMAT_VERSION, "classes": CLASSES}) + "\n", encoding="utf-8"
    )


def load_judges(folder: Path) -> Panel:
    """Read what ``save_judges`` wrote.

    Raises:
        ValueError: an unknown format version.
    """
    version = json.loads((folder / "judges.json").read_text(encoding="utf-8"))["format_version"]
    if version != FORMAT_VERSION:
        raise ValueError(f"digits' judges, format {version}: this version reads {FORMAT_VERSION}")
    with LOADING:
        first, second = make_network(), make_network()
    first.load_state_dict(load_file(folder / "classifier.safetensors"))
    weights = load_file(folder / "features.safetensors")
    vectors = weights.pop("class_vectors")
    second.load_state_dict(weights)
    return Panel({"subject": DigitClassifier(first)}, DigitFeatures(second, vectors))


def _train(digits: Digits, recipe: JudgeRecipe, seed: int, progress: bool) -> nn.Sequential:
    generator = torch.Generator().manual_seed(seed)
    with LOADING, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = make_network()

    def loss_of() -> Tensor:
        batch = digits.select(torch.randint(len(digits), (recipe.batch_size,), generator=generator))
        large = functional.interpolate(_rgb(batch.pictures), scale_factor=ENLARGED)
        nothing = showing_nothing(large, generator)[: recipe.batch_size // 4]
        inputs = functional.avg_pool2d(torch.cat([degrade(large, generator), nothing]), ENLARGED)
        labels = torch.cat([batch.labels, torch.full((len(nothing),), len(CLASSES))])
        return functional.cross_entropy(network(inputs), labels, label_smoothing=0.05)

    how = Schedule(recipe.steps, recipe.learning_rate, decay=1e-2, betas=(0.9, 0.999), warm_up=0, clip=None,
                   averaging=None)  # fmt: skip
    with progress_bar(progress) as bar:
        task = bar.add_task("Training a judge of digits", total=recipe.steps, note="")
        fit(network, loss_of, how, lambda _, loss: bar.update(task, advance=1, note=f"loss {loss:.3f}"))
    return network


def _rgb(grey: Tensor) -> Tensor:
    return grey.expand(-1, 3, -1, -1)


def _inputs(pictures: np.ndarray) -> Tensor:
    if pictures.shape[1:] != (SIZE, SIZE, 3):
        raise ExpungeError(
            f"judges: 'digits' take pictures ({SIZE}, {SIZE}, 3), these are {pictures.shape[1:]}; give other judges."
        )
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1
