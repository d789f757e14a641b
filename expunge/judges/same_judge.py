"""Whether two CLIP judges are one: an opinion given twice is no second opinion."""

import numpy as np

from expunge.errors import ExpungeError
from expunge.judges.null_pictures import null_pictures
from expunge.judges.protocols import ClipJudge

ALIKE = 0.98  # correlation of what they say
TELLS_APART = 1e-6  # standard deviation of cosines: what lies below is rounding


def refuse_one_judge_twice(one: ClipJudge, other: ClipJudge, texts: list[str]) -> None:
    """See that two judges differ: in what they say, for names, files and number formats can hide that they do not.

    Args:
        texts: what both are asked about, at least two different ones.

    Raises:
        ExpungeError: they say the same.
    """
    if (alike := agreement(one, other, texts)) > ALIKE:
        raise ExpungeError(
            f"judges: '{one.name}' and '{other.name}' are one judge under two names (their cosines correlate by "
            f"{alike:.3f}): no second opinion. Name an open_clip model with weights of its own."
        )


def agreement(one: ClipJudge, other: ClipJudge, texts: list[str]) -> float:
    """Correlation of two judges' cosines between the same pictures and texts, −1–1; 1 if one tells nothing apart.

    The mean of each picture and of each text is taken off first: any judge likes some texts better than others. The
    pictures are colours, smudges and stripes, on which judges agree only if they are the same.
    """
    pictures = null_pictures(each=6, seed=1)
    rows = []
    for judge in (one, other):
        cosines = np.asarray(judge.picture_features(pictures), np.float64) @ judge.text_features(texts).T
        rows.append((cosines - cosines.mean(axis=0) - cosines.mean(axis=1, keepdims=True) + cosines.mean()).ravel())
    return float(np.corrcoef(rows)[0, 1]) if min(map(np.std, rows)) > TELLS_APART else 1.0
