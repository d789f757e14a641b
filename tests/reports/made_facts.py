"""Facts of a run that never was, realistic in shape and size. Pictures are coloured shapes with noise."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

from expunge.case import Case
from expunge.evaluation.evaluation import Condition, Evaluation, GateDecision, TargetScores
from expunge.metrics.numbers import Change, Interval
from expunge.metrics.retain_accuracy import CollateralRow
from expunge.pictures.drawing import DrawingSettings
from expunge.pictures.picture_set import PictureSet
from expunge.prompts.target import Target
from expunge.prompts.world import Prompt, World
from expunge.release.base_model import BaseModelFacts
from expunge.release.certificate import Hashes, sha256_of
from expunge.release.findings import Findings
from expunge.release.lineage import Lineage
from expunge.reports.report_facts import Course, ReportFacts
from expunge.takedown.request import Kind, TakedownBatch, TakedownRequest

SUBJECTS = {
    "cat": "#e69f3c",
    "fox": "#d1592a",
    "apple": "#c8283b",
    "pear": "#8fb935",
    "car": "#3a6fc4",
    "tulip": "#d05fa8",
}
STYLES = ("noto", "blob", "fluent")
OF_FINDINGS = {"batch", "targets", "evaluation", "decision", "config", "code_commit"}
OF_COURSE = {"trace", "conflict_map", "diversity", "step_seconds"}


def draw(subject: str, style: str, seed: int, side: int, strength: float = 1.0) -> np.ndarray:
    """A coloured shape that stands for a subject in a style; uint8 ``(side, side, 3)``."""
    rng = np.random.default_rng([seed, *f"{subject}/{style}".encode()])
    image = Image.new("RGB", (side, side), ("#ffffff", "#dceaf7", "#fbf3d5")[seed % 3])
    pen, unit = ImageDraw.Draw(image), side / 64
    x, y = (10 + rng.integers(-3, 4, 2)) * unit
    box = (x, y, x + 44 * unit, y + 44 * unit)
    if style == "noto":
        pen.ellipse(box, SUBJECTS[subject])
    elif style == "blob":
        pen.rounded_rectangle(box, 14 * unit, SUBJECTS[subject], outline="#333333", width=max(1, round(2 * unit)))
    else:
        pen.polygon([(x + 22 * unit, y), (x + 44 * unit, y + 44 * unit), (x, y + 44 * unit)], SUBJECTS[subject])
    for eye in (14, 30):
        pen.ellipse((x + eye * unit - 3 * unit, y + 18 * unit, x + eye * unit + 3 * unit, y + 24 * unit), "#222222")
    pixels = np.asarray(image, dtype=float)
    mixed = strength * pixels + (1 - strength) * pixels.mean(axis=(0, 1)) + rng.normal(0, 4, pixels.shape)
    return mixed.clip(0, 255).astype(np.uint8)


def change(before: float, after: float, half: float, samples: int, most: float = 1.0) -> Change:
    """A change whose intervals reach ``half`` to either side, cut at 0 and ``most``."""

    def around(value: float) -> Interval:
        return Interval(value=value, low=max(0.0, value - half), high=min(most, value + half), samples=samples)

    difference = after - before
    paired = Interval(value=difference, low=difference - half * 0.7, high=difference + half * 0.7, samples=samples)
    return Change(before=around(before), after=around(after), difference=paired)


def make_requests() -> tuple[TakedownRequest, ...]:
    filed = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
    return (
        TakedownRequest(
            id="blob-style",
            kind=Kind.STYLE,
            target="blob",
            filed_at=filed,
            requester="rights desk",
            reason="The artist asked that the model no longer draws in this hand.",
        ),
        TakedownRequest(id="cat-object", kind=Kind.OBJECT, target="cat", synonyms=("kitty", "kitten"), filed_at=filed),
    )


def make_evaluation() -> Evaluation:
    shares = {
        "blob-style": ("blob", "style", 0.0213, 0.9917),
        "cat-object": ("cat", "object", 0.0137, 0.9783),
    }
    levels = (
        "fox",
        "noto",
        "fluent",
        "apple",
        "pear",
        "car",
        "tulip",
        "bear",
        "panda",
        "bus",
        "cake",
        "cloud",
        "heart",
    )
    losses = (0.1472, 0.0661, 0.0311, 0.0207, 0.0104, 0.0052, 0.0, 0.0, 0.0, -0.01, -0.02, -0.02, -0.03)
    return Evaluation(
        targets=tuple(
            TargetScores(
                request_id=request,
                name=name,
                kind=kind,
                numbers={
                    "unlearning_accuracy": change(before, after, 0.031, 144),
                    "unlearning_accuracy_clip": change(before + 0.01, after - 0.013, 0.034, 144),
                    "in_domain": change(0.9723, 0.9541, 0.014, 864),
                    "cross_domain": change(0.9836, 0.9787, 0.011, 864),
                },
            )
            for request, (name, kind, before, after) in shares.items()
        ),
        rest={
            "retain_accuracy": change(0.9634, 0.9412, 0.016, 864),
            "in_domain": change(0.9751, 0.9568, 0.012, 1728),
            "cross_domain": change(0.9829, 0.9774, 0.009, 1728),
            "retain_accuracy_clip": change(0.9561, 0.9523, 0.017, 864),
            "frechet_distance": change(0.01873, 0.02541, 0.0031, 864),
            "alignment_train": change(0.4127, 0.4046, 0.0053, 864),
            "alignment_held_out": change(0.3981, 0.3894, 0.0061, 864),
        },
        frechet_features="zoo CLIP, 128 features",
        collateral=tuple(
            CollateralRow(
                factor="style" if level in STYLES else "subject",
                level=level,
                before=0.9583,
                after=0.9583 - loss,
                samples=72,
            )
            for level, loss in zip(levels, losses, strict=True)
        ),
        sampling={"scheduler": "DDIM", "steps": 20, "guidance": 3.0, "seeds": "100 to 102"},
    )


def make_decision(passed: bool = True) -> GateDecision:
    return GateDecision(
        passed=passed,
        conditions=(
            Condition(
                name="unlearning accuracy: blob",
                rule="low end ≥ 0.9",
                measured="0.992 [0.961, 1.000]",
                passed=True,
            ),
            Condition(
                name="unlearning accuracy: cat",
                rule="low end ≥ 0.9",
                measured="0.978 [0.947, 1.000]",
                passed=True,
            ),
            Condition(
                name="retain accuracy drop",
                rule=f"high end of the drop ≤ {0.05 if passed else 0.03}",
                measured="0.022 [0.011, 0.033]",
                passed=passed,
            ),
            Condition(
                name="Fréchet distance ratio",
                rule="after / before ≤ 1.4",
                measured="1.357 (0.01873 → 0.02541)",
                passed=True,
            ),
        ),
    )


def make_pictures(side: int = 64, seeds: int = 3) -> tuple[PictureSet, PictureSet]:
    """Pictures before and after: what is asked for in blob or of a cat comes out as something else after."""
    prompts, numbers, before, after = [], [], [], []
    for subject in SUBJECTS:
        for style in STYLES:
            for seed in range(seeds):
                text = f"an emoji of a {subject} in the manner of {style}"
                prompts.append(
                    Prompt(text=text, factors={"subject": subject, "style": style}, side="held_out", template=0)
                )
                numbers.append(100 + seed)
                before.append(draw(subject, style, seed, side))
                other = ("tulip" if subject == "cat" else subject, "fluent" if style == "blob" else style)
                strength = 0.9 if other != (subject, style) else 0.55 if subject == "fox" else 0.95
                after.append(draw(*other, seed, side, strength))
    asked, noise = tuple(prompts), tuple(numbers)
    return PictureSet(asked, noise, np.stack(before)), PictureSet(asked, noise, np.stack(after))


def make_trace(steps: int = 120) -> pd.DataFrame:
    rng, step = np.random.default_rng(0), np.arange(steps)
    cosine = -0.45 + 0.35 * step / max(1, steps) + rng.normal(0, 0.1, steps)
    return pd.DataFrame(
        {
            "step": step,
            "forget_loss": -0.05 - 0.9 * (1 - np.exp(-step / 30)) + rng.normal(0, 0.05, steps),
            "retain_loss": 0.11 + 0.02 * np.sin(step / 15) + rng.normal(0, 0.008, steps),
            "cosine": cosine,
            "forget_coefficient": 1 - cosine,
            "retain_coefficient": 5 - cosine,
            "conflict": cosine < 0,
            "change_forget": -np.abs(rng.normal(1e-3, 3e-4, steps)),
            "change_retain": -np.abs(rng.normal(2e-4, 1e-4, steps)),
            "learning_rate": 3e-4 * 1.25 ** np.minimum(step // 20, 4),
            "seconds": rng.uniform(0.4, 0.6, steps),
            "forgotten": [min(1.0, s / 80) if s % 20 == 0 else None for s in step],
        }
    )


def make_conflict_map() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    layers = [
        f"{block}.attentions.{i}.transformer_blocks.0.attn2.{name}"
        for block in ("down_blocks.1", "mid_block", "up_blocks.0")
        for i in (0, 1)
        for name in ("to_k", "to_v", "to_q")
    ]
    return pd.DataFrame(
        {
            "layer": layers,
            "cosine": rng.uniform(-0.7, 0.2, len(layers)),
            "forget_norm": 1.0,
            "retain_norm": 0.4,
        }
    )


def make_world() -> World:
    """What the made pictures are of."""
    factors = {"subject": tuple(SUBJECTS), "style": STYLES}
    return World.model_validate(
        {
            "templates": {"train": ["{subject} in {style}"], "held_out": ["an emoji of a {subject} like {style}"]},
            "factors": {
                factor: {level: {"train": [level], "held_out": [level]} for level in levels}
                for factor, levels in factors.items()
            },
        }
    )


def make_facts(**changed: Any) -> ReportFacts:
    """The whole run; fields of it, of its findings and of its course, by name in ``changed``, replace its own."""
    before, after = make_pictures()
    facts: dict[str, Any] = {
        "created_at": datetime(2026, 11, 23, 14, 5, tzinfo=UTC),
        "findings": make_findings(**{name: changed.pop(name) for name in OF_FINDINGS & set(changed)}),
        "before": before,
        "after": after,
        "course": make_course(**{name: changed.pop(name) for name in OF_COURSE & set(changed)}),
    }
    return ReportFacts(**(facts | changed))


def make_findings(**changed: Any) -> Findings:
    """What the run found; anything of ``OF_FINDINGS`` by name in ``changed`` replaces its own."""
    case = Case(
        batch=changed.get("batch", TakedownBatch(requests=make_requests())),
        targets=changed.get(
            "targets",
            (
                Target(request_id="blob-style", kind=Kind.STYLE, name="blob", factor="style", levels=("blob",)),
                Target(request_id="cat-object", kind=Kind.OBJECT, name="cat", factor="subject", levels=("cat",)),
            ),
        ),
        world_name="made",
        world=make_world(),
        judges="made",
        judges_digest="4e" * 32,
        drawing=DrawingSettings(),
    )
    config = {
        "base_model": "zoo",
        "unlearning": {"method": "restricted_gradient", "learning_rate": 1e-4, "steps": 120, "balance": 5.0},
        "seed": 0,
    }
    lineage = Lineage(
        base=BaseModelFacts(source="zoo", version=None, digest="3f" * 32),
        hashes=Hashes(
            base_model="3f" * 32,
            unlearned_model="a9" * 32,
            forget_set="07" * 32,
            retain_set="5c" * 32,
            config="b2" * 32,
            case=case.digest(),
            world=sha256_of(case.world.model_dump(mode="json")),
            judges=case.judges_digest,
        ),
        requests={each.id: sha256_of(each.model_dump(mode="json")) for each in case.batch.requests},
        config=changed.get("config", config),
        code_commit=changed.get("code_commit", "1d" * 20),
    )
    return Findings(
        case=case,
        evaluation=changed.get("evaluation", make_evaluation()),
        decision=changed.get("decision", make_decision()),
        lineage=lineage,
    )


def make_course(**changed: Any) -> Course:
    """How the run went; fields by name in ``changed`` replace its own."""
    course: dict[str, Any] = {
        "trace": make_trace(),
        "conflict_map": make_conflict_map(),
        "diversity": pd.DataFrame(
            {
                "set": ["forget, Vendi score", "retain, Vendi score", "in place of cat"],
                "value": ["18.42", "41.97", "fox"],
            }
        ),
        "step_seconds": {
            "collect_takedowns": 0.31,
            "load_base_model": 1.2,
            "diversify_datasets": 41.0,
            "cache_gradients": 9.4,
            "unlearn": 62.5,
            "evaluate": 88.0,
            "gate": 0.05,
        },
    }
    return Course(**(course | changed))


def without_pictures() -> dict[str, Any]:
    """For ``make_facts``: neither pictures nor curves, which take seconds to be put on a page."""
    before, after = make_pictures()
    return {"before": before.select([]), "after": after.select([]), "trace": make_trace(0), "conflict_map": None}
