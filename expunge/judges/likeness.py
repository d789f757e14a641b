"""Whether a picture is a memorised one: by its likeness to the reference pictures, on features that are named.

A picture is a copy where its cosine with one of the references reaches a limit, both seen from the mean of the base's
other pictures: what all pictures share, as a mean colour, makes none a copy. Sources: Carlini et al., *Extracting
training data from diffusion models*, USENIX Security 2023, arXiv 2301.13188, section 4 (near copies, by a distance);
Somepalli et al., *Diffusion art or digital forgery?*, CVPR 2023, arXiv 2212.03860, section 3 (by the cosine of
features).

Differs from the papers: they set the limit by eye. Here it is what the base model draws under other prompts, the same
subject and style among them, that says how alike pictures are by chance: a further picture of that kind lies above the
limit with a probability of ``BY_CHANCE`` at most (a conformal p-value: Bates et al., *Testing for outliers with
conformal p-values*, 2023, arXiv 2104.08279). Where the world holds nothing like the reference the limit is low, and
what merely resembles it counts as a copy: then too much is asked for, not too little.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict

from expunge.errors import ExpungeError
from expunge.judges.features import Extractor, unit_rows
from expunge.prompts.world import PICTURE

OTHER = "another picture"  # what is found in a picture that is no copy
BY_CHANCE = 0.02  # of the base's pictures of other things, called copies: a few may be, and must not set the limit
FEWEST = math.ceil(1 / BY_CHANCE) - 1  # pictures of other things: of fewer the limit is that of the most alike


class References(BaseModel):
    """What one extractor makes of the reference pictures: features alone, no picture.

    Attributes:
        name: the extractor's, which goes with every number.
        centre: (d,) mean of the other pictures' features, which were scaled to length 1.
        rows: by level of the factor ``picture``, its references' features from there, rows of length 1, (r, d).
        limits: by level, the cosine from which a picture counts as a copy, −1–1.
        others: how many of the base's pictures of other things the limits rest on.
        source: what the extractor is called in settings; empty: as ``compare.see_references`` says.
        weights: of Inception, where it is that.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    centre: tuple[float, ...]
    rows: dict[str, tuple[tuple[float, ...], ...]]
    limits: dict[str, float]
    others: int
    source: str = ""
    weights: str = ""

    @classmethod
    def of(cls, extractor: Extractor, references: Mapping[str, np.ndarray], others: np.ndarray) -> "References":
        """Features of references and the limits that go with them.

        Args:
            extractor: whose features.
            references: by level, uint8 ``(r, h, w, 3)``.
            others: what the base drew under other prompts, uint8 ``(n, h, w, 3)``, at least one.

        Raises:
            ExpungeError: there are no others, or features are NaN.
        """
        if not len(others):
            raise ExpungeError(
                "pictures: the base drew nothing else, so nothing says how alike pictures are by chance."
            )
        drawn = unit_rows(extractor.features(others), f"{extractor.name}, pictures of other things")
        centre = drawn.mean(axis=0)
        drawn = _seen_from(centre, drawn, extractor.name)
        rows = {
            level: _seen_from(centre, extractor.features(pictures), f"{extractor.name}, references of '{level}'")
            for level, pictures in references.items()
        }
        limits = {level: _limit((drawn @ each.T).max(axis=1)) for level, each in rows.items()}
        written = {level: tuple(map(tuple, each.tolist())) for level, each in rows.items()}
        return cls(name=extractor.name, centre=tuple(centre.tolist()), rows=written, limits=limits, others=len(others))


class LikenessJudge:
    """A classifier of the factor ``picture``: which memorised picture a picture is a copy of, or ``OTHER``.

    Args:
        extractor: of the references' name.
        references: their features and limits.

    Raises:
        ExpungeError: the extractor is another one than the references were seen by.
    """

    factor = PICTURE

    def __init__(self, extractor: Extractor, references: References) -> None:
        if extractor.name != references.name:
            raise ExpungeError(
                f"features: the references were compared on {references.name}, and {extractor.name} is what is there; "
                "start the run again."
            )
        self._extractor, self._references = extractor, references
        self.levels = tuple(references.rows)
        limits = ", ".join(f"{limit:.4g}" for limit in references.limits.values())
        self.name = f"likeness to the references on {extractor.name}, from a cosine of {limits}"

    def digest(self) -> str:
        """SHA-256 of references and limits, and of the extractor's name, which holds its weights' digest."""
        return hashlib.sha256(self._references.model_dump_json().encode()).hexdigest()

    def likeness(self, features: np.ndarray, level: str) -> np.ndarray:
        """(n,) highest cosine of pictures' features (n, d) with a reference of that level, −1–1."""
        rows = _seen_from(np.asarray(self._references.centre), features, self._extractor.name)
        return (rows @ np.asarray(self._references.rows[level]).T).max(axis=1)

    def recognise(self, pictures: np.ndarray) -> list[str]:
        """As ``Classifier.recognise``, with ``OTHER`` in place of ``NOTHING``: a broken picture is no copy either."""
        return self.recognise_features(self._extractor.features(pictures))

    def recognise_features(self, features: np.ndarray) -> list[str]:
        """The same of pictures' features by this judge's extractor, (n, d)."""
        above = [self.likeness(features, level) - self._references.limits[level] for level in self.levels]
        best = np.argmax(above, axis=0)
        return [self.levels[i] if above[i][n] >= 0 else OTHER for n, i in enumerate(best)]


def _seen_from(centre: np.ndarray, features: np.ndarray, what: str) -> np.ndarray:
    """Features (n, d), scaled to length 1, from there; again of length 1."""
    return unit_rows(unit_rows(features, what, at_least=0) - centre, what, at_least=0)


def _limit(likeness: Sequence[float] | np.ndarray) -> float:
    """The smallest limit above which a further likeness of the same kind lies with a probability of ``BY_CHANCE`` at
    most; of fewer than ``FEWEST`` the highest of them. Just above it, for what is as alike is no copy."""
    rank = min(len(likeness), math.ceil((1 - BY_CHANCE) * (len(likeness) + 1)))
    return float(np.nextafter(np.sort(np.asarray(likeness, dtype=np.float64))[rank - 1], 2.0))
