"""Pictures after the judges have seen them: features and verdicts, a few hundred numbers instead of all pixels.

Everything that metrics need is in here, so that pictures can be drawn, judged and let go shard by shard.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from expunge.errors import ExpungeError
from expunge.judges.features import Extractor
from expunge.judges.panel import Panel
from expunge.pictures.picture_set import PictureSet
from expunge.prompts.world import PICTURE, Prompt, World

if TYPE_CHECKING:
    import pandas as pd

THUMBNAIL = 32  # pixels a side


@dataclass(frozen=True)
class JudgedPictures:
    """What a panel said of ``n`` pictures.

    Attributes:
        prompts: n prompts.
        seeds: n seeds of the initial noise.
        features: float32 (n, d), rows of length 1, by the panel's CLIP.
        recognised: n levels, or ``none``, by each factor that has a classifier.
        fingerprints: n SHA-256 of the pixels, 16 hexadecimal digits.
        contrasts: (n,) standard deviation of the pixels in the liveliest channel, 0–127.5; 0 for one plain colour.
        thumbnails: uint8 (n, 32, 32, 3), the pictures averaged over areas: enough to see that their structure changed.
        recognised_by_clip: n levels by factor, as far as ``seen_by_clip`` was asked for.
        named_features: float32 (n, w) by another extractor, for distances between sets; None: ``features`` are.
        named_by: that extractor's name; empty: the panel's CLIP.
        first_features: float32 (n, e) by the CLIP that the classifiers are made of, where it is not the panel's.
    """

    prompts: tuple[Prompt, ...]
    seeds: tuple[int, ...]
    features: np.ndarray
    recognised: Mapping[str, Sequence[str]]
    fingerprints: tuple[str, ...]
    contrasts: np.ndarray
    thumbnails: np.ndarray
    recognised_by_clip: Mapping[str, Sequence[str]] = field(default_factory=dict)
    named_features: np.ndarray | None = None
    first_features: np.ndarray | None = None
    named_by: str = ""

    def __len__(self) -> int:
        return len(self.prompts)

    @property
    def distance_features(self) -> np.ndarray:
        """What distances between sets are measured between."""
        return self.features if self.named_features is None else self.named_features

    @property
    def texts(self) -> list[str]:
        """The prompts' texts."""
        return [prompt.text for prompt in self.prompts]

    @property
    def clusters(self) -> list[str]:
        """The cluster of each picture: those of one text, which is one of many that might have been drawn with.

        The captions of a memorised picture are all that it is asked for with, and each of their pictures stands alone.
        """
        return [
            f"{prompt.text} {seed}" if PICTURE in prompt.factors else prompt.text
            for prompt, seed in zip(self.prompts, self.seeds, strict=True)
        ]

    def select(self, indices: Sequence[int]) -> JudgedPictures:
        """What was said of the pictures at ``indices``, in that order."""

        def chosen(found: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
            return {factor: [levels[i] for i in indices] for factor, levels in found.items()}

        rows = np.asarray(indices, dtype=np.int64)
        return JudgedPictures(
            tuple(self.prompts[i] for i in indices),
            tuple(self.seeds[i] for i in indices),
            self.features[rows],
            chosen(self.recognised),
            tuple(self.fingerprints[i] for i in indices),
            self.contrasts[rows],
            self.thumbnails[rows],
            chosen(self.recognised_by_clip),
            None if self.named_features is None else self.named_features[rows],
            None if self.first_features is None else self.first_features[rows],
            self.named_by,
        )

    def judged_with(self, panel: Panel) -> JudgedPictures:
        """The same with the verdicts of that panel's zero-shot classifiers, which have limits now."""
        features = self.features if self.first_features is None else self.first_features
        return replace(self, recognised=panel.judged_again(self.recognised, features))

    def seen_by_clip(self, panel: Panel, world: World, factors: Sequence[str]) -> JudgedPictures:
        """The same with CLIP's zero-shot verdict on these factors; what is known already is not asked again."""
        found = {
            factor: self.recognised_by_clip.get(factor) or panel.levels_by_clip(self.features, factor, world)
            for factor in sorted(factors)
        }
        return replace(self, recognised_by_clip={**self.recognised_by_clip, **found})

    def to_frame(self) -> pd.DataFrame:
        """One row per picture, features and all, fit for parquet."""
        import pandas as pd  # half a second

        columns = {
            "prompt": [prompt.model_dump_json() for prompt in self.prompts],
            "seed": list(self.seeds),
            "fingerprint": list(self.fingerprints),
            "contrast": self.contrasts,
            "thumbnail": [each.tobytes() for each in self.thumbnails],
            "named_by": [self.named_by] * len(self),
            **{f"recognised.{factor}": list(levels) for factor, levels in self.recognised.items()},
        }
        tables = {"feature": self.features, "named": self.named_features, "first": self.first_features}
        features = {f"{name}.{i}": column for name, table in tables.items() if table is not None
                    for i, column in enumerate(np.asarray(table).T)}  # fmt: skip
        return pd.DataFrame(columns | features)

    @classmethod
    def from_frame(cls, frame: pd.DataFrame) -> JudgedPictures:
        """What ``to_frame`` made, read again."""
        named = {name: name.removeprefix("recognised.") for name in frame if name.startswith("recognised.")}
        return cls(
            tuple(Prompt.model_validate_json(prompt) for prompt in frame["prompt"]),
            tuple(int(seed) for seed in frame["seed"]),
            frame.filter(regex=r"^feature\.").to_numpy(np.float32),
            {factor: [str(level) for level in frame[name]] for name, factor in named.items()},
            tuple(str(each) for each in frame["fingerprint"]),
            frame["contrast"].to_numpy(np.float64),
            np.array([np.frombuffer(each, np.uint8).reshape(THUMBNAIL, THUMBNAIL, 3) for each in frame["thumbnail"]]),
            named_features=_table(frame, "named"),
            first_features=_table(frame, "first"),
            named_by="".join(frame["named_by"].unique()),
        )


def judge_pictures(pictures: PictureSet, panel: Panel, extractor: Extractor | None = None) -> JudgedPictures:
    """Let every judge of the panel look at the pictures, once.

    Args:
        extractor: makes the features for distances between sets; None for the panel's CLIP.

    Raises:
        ExpungeError: a classifier answered for another number of pictures than it was shown.
    """
    features = panel.clip.picture_features(pictures.pictures)
    first = panel.first.picture_features(pictures.pictures) if panel.first else None
    return JudgedPictures(
        pictures.prompts,
        pictures.seeds,
        features,
        panel.recognise(pictures.pictures, features if first is None else first),
        tuple(hashlib.sha256(np.ascontiguousarray(each).tobytes()).hexdigest()[:16] for each in pictures.pictures),
        np.array([float(each.std(axis=(0, 1)).max()) for each in pictures.pictures]),
        np.array([_thumbnail(each) for each in pictures.pictures]),
        named_features=extractor.features(pictures.pictures) if extractor else None,
        first_features=first,
        named_by=extractor.name if extractor else "",
    )


def join(parts: Sequence[JudgedPictures]) -> JudgedPictures:
    """One after the other.

    Raises:
        ExpungeError: there are none, or they were judged by different panels or extractors.
    """
    if not parts:
        raise ExpungeError("judged pictures: none given; draw some first.")
    factors = {tuple(part.recognised) for part in parts}
    if len(factors) > 1:
        raise ExpungeError(f"judged pictures: judged by classifiers of {sorted(factors)}; use one panel for all.")
    if len(names := {part.named_by or "the judges' CLIP" for part in parts}) > 1:
        raise ExpungeError(
            f"judged pictures: features of {', '.join(sorted(names))}; judge all anew with one extractor."
        )
    return JudgedPictures(
        tuple(prompt for part in parts for prompt in part.prompts),
        tuple(seed for part in parts for seed in part.seeds),
        np.concatenate([part.features for part in parts]),
        {factor: [level for part in parts for level in part.recognised[factor]] for factor in parts[0].recognised},
        tuple(each for part in parts for each in part.fingerprints),
        np.concatenate([part.contrasts for part in parts]),
        np.concatenate([part.thumbnails for part in parts]),
        named_features=_joined([part.named_features for part in parts]),
        first_features=_joined([part.first_features for part in parts]),
        named_by=parts[0].named_by,
    )


def _joined(tables: Sequence[np.ndarray | None]) -> np.ndarray | None:
    there = [each for each in tables if each is not None]
    return np.concatenate(there) if len(there) == len(tables) else None


def _table(frame: pd.DataFrame, name: str) -> np.ndarray | None:
    rows = frame.filter(regex=rf"^{name}\.")
    return rows.to_numpy(np.float32) if len(rows.columns) else None


def _thumbnail(picture: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(picture).resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX))
