"""The panel of judges: one classifier per factor, and an independent CLIP."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from expunge.errors import ExpungeError
from expunge.judges.detectors import DetectorJudge
from expunge.judges.likeness import LikenessJudge
from expunge.judges.protocols import Classifier, ClipJudge
from expunge.judges.zero_shot import ZeroShotClassifier, null_features
from expunge.prompts.target import Target
from expunge.prompts.world import Prompt, World


@dataclass
class Panel:
    """All judges of one evaluation.

    Attributes:
        classifiers: by the factor that each judges.
        clip: the open-vocabulary judge.
        opinions: zero-shot classifiers made of ``clip``, by factor, where the classifiers are made of another CLIP; of
            memorised pictures, how alike ``clip`` finds them. Where there is none ``clip`` names the nearest level,
            whatever it is shown.
    """

    classifiers: Mapping[str, Classifier]
    clip: ClipJudge
    opinions: Mapping[str, ZeroShotClassifier | LikenessJudge] = field(default_factory=dict)

    @property
    def zero_shot(self) -> dict[str, ZeroShotClassifier]:
        """Those of the classifiers that nobody trained."""
        return _zero_shot(self.classifiers)

    @property
    def first(self) -> ClipJudge | None:
        """The CLIP that those are made of, where it is another one than ``clip``."""
        clips = [each.clip for each in self.zero_shot.values() if each.clip is not self.clip]
        return clips[0] if clips else None

    @property
    def one_judge(self) -> bool:
        """Whether the classifiers are made of ``clip``: then its verdicts are no second opinion."""
        return bool(self.zero_shot) and self.first is None

    def digest(self) -> str:
        """SHA-256 over all judges: two panels of one digest say the same of every picture."""
        classifiers = [f"{factor} {judge.digest()}" for factor, judge in sorted(self.classifiers.items())]
        return hashlib.sha256("\n".join([*classifiers, self.clip.digest()]).encode()).hexdigest()

    def limited(self, prompts: Sequence[Prompt], features: np.ndarray, first: np.ndarray | None) -> "Panel":
        """The same panel, whose zero-shot judges know by pictures that the base itself drew what shows nothing.

        Args:
            prompts: n, what those pictures were asked for.
            features: (n, d) by ``clip``.
            first: (n, e) by ``first``, None where there is none.
        """
        if not self.zero_shot:
            return self
        own, nulls = features if first is None else first, null_features(self.first or self.clip)
        judges = {
            factor: _instead_of(self.classifiers[factor], each.limited(own, prompts, nulls))
            for factor, each in self.zero_shot.items()
        }
        second = _zero_shot(self.opinions)
        nulls = null_features(self.clip) if second else nulls
        opinions = {factor: each.limited(features, prompts, nulls) for factor, each in second.items()}
        return replace(self, classifiers={**self.classifiers, **judges}, opinions={**self.opinions, **opinions})

    @property
    def without_limits(self) -> list[str]:
        """The factors of which a zero-shot judge names a level even where a picture shows nothing."""
        judges = (*self.zero_shot.values(), *_zero_shot(self.opinions).values())
        return sorted({each.factor for each in judges if each.limits is None})

    def told_by(self, factor: str) -> tuple[str, str]:
        """How reports call the judge of a factor, and the second one."""
        first, second = self.named(factor)
        return first or ("CLIP" if self.one_judge else f"the classifier of {factor}"), second or "CLIP"

    def named(self, factor: str) -> tuple[str, str]:
        """The same of judges that no number is told without: of likeness, and detectors. Empty for others."""
        first, second = self.classifiers.get(factor), self.opinions.get(factor)
        return (
            first.name if isinstance(first, LikenessJudge | DetectorJudge) else "",
            second.name if isinstance(second, LikenessJudge) else "",
        )

    def judged_again(self, recognised: Mapping[str, Sequence[str]], features: np.ndarray) -> dict[str, list[str]]:
        """Verdicts of before with those of the zero-shot classifiers made anew, which have limits now.

        Args:
            recognised: n levels, by factor.
            features: (n, d) by the CLIP that zero-shot classifiers are made of.
        """
        found = {factor: each.recognise_features(features) for factor, each in self.zero_shot.items()}
        judges = {factor: self.classifiers[factor] for factor in found}
        seen = {name: each for name, each in judges.items() if isinstance(each, DetectorJudge)}
        over = {factor: judge.over(recognised[factor], found[factor]) for factor, judge in seen.items()}
        return {factor: list(levels) for factor, levels in {**recognised, **found, **over}.items()}

    def refuse_unjudged(self, target: Target) -> None:
        """See that a classifier judges the target's factor.

        Raises:
            ExpungeError: there is none; the message says for what there are some.
        """
        if target.factor not in self.classifiers:
            raise ExpungeError(
                f"target '{target.name}': no classifier for its factor '{target.factor}', only for "
                f"{', '.join(self.classifiers) or 'nothing'}. Add one to the panel."
            )

    def recognise_by_clip(self, pictures: np.ndarray, factor: str, world: World) -> list[str]:
        """The level of ``factor`` that CLIP finds in each picture, without having been taught the levels.

        Args:
            pictures: RGB, uint8, (n, h, w, 3).
        """
        return self.levels_by_clip(self.clip.picture_features(pictures), factor, world)

    def levels_by_clip(self, features: np.ndarray, factor: str, world: World) -> list[str]:
        """The same of pictures' features, (n, d), by this panel's CLIP.

        Raises:
            ExpungeError: the world has no such factor, or features are NaN.
        """
        judge = self.opinions.get(factor) or ZeroShotClassifier(self.clip, factor, world)
        return judge.recognise_features(features)

    def recognise(self, pictures: np.ndarray, features: np.ndarray | None = None) -> dict[str, list[str]]:
        """What every classifier finds, by factor.

        Args:
            pictures: RGB, uint8, (n, h, w, 3).
            features: of those, by the CLIP that zero-shot classifiers are made of, where they are known.

        Raises:
            ExpungeError: a classifier answered for another number of pictures than it was shown.
        """
        zero_shot = self.zero_shot
        if zero_shot and features is None:
            features = (self.first or self.clip).picture_features(pictures)
        found = {}
        for factor, judge in self.classifiers.items():
            if factor not in zero_shot or features is None:
                found[factor] = judge.recognise(pictures)
                continue
            found[factor] = zero_shot[factor].recognise_features(features)
            if isinstance(judge, DetectorJudge):
                found[factor] = judge.over(judge.detected(pictures), found[factor])
        _answered({f"classifier of {factor}": levels for factor, levels in found.items()}, len(pictures))
        return found


def _zero_shot(judges: Mapping[str, Classifier]) -> dict[str, ZeroShotClassifier]:
    """Those, and those under detectors."""
    plain = {name: each.others if isinstance(each, DetectorJudge) else each for name, each in judges.items()}
    return {name: each for name, each in plain.items() if isinstance(each, ZeroShotClassifier)}


def _instead_of(judge: Classifier, limited: ZeroShotClassifier) -> Classifier:
    return DetectorJudge(judge.factor, judge.detectors, limited) if isinstance(judge, DetectorJudge) else limited


def _answered(answers: dict[str, Sequence[str]], pictures: int) -> None:
    for judge, levels in answers.items():
        if len(levels) != pictures:
            raise ExpungeError(f"{judge}: {len(levels)} answers for {pictures} pictures; each picture needs one.")
