"""The model card in a registered folder: what the model was made from, what it forgot, how well, and its limits."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from expunge.evaluation.evaluation import TargetScores
from expunge.markdown import markdown_table, safe
from expunge.metrics.numbers import Change
from expunge.metrics.quantities import QUANTITIES
from expunge.release.certificate import STATEMENT, measured
from expunge.release.findings import Findings

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

TEMPLATE = Path(__file__).with_name("model_card.md.j2")
CARD = "README.md"
TASK = "text-to-image"
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def write_model_card(folder: Path, findings: Findings, registered_model: str) -> Path:
    """Write the card into a model's folder, before the folder is registered and signed.

    It names targets, numbers and hashes, but neither who asked nor why, and of a base on this machine only the folder's
    name.

    Args:
        folder: as ``TextToImage.save`` wrote it.
        findings: of the run that made the model.
        registered_model: the name that it is registered under.

    Returns:
        The card's file, ``README.md`` as the Hugging Face Hub reads it.
    """
    from huggingface_hub import ModelCard, ModelCardData

    lineage, evaluation = findings.lineage, findings.evaluation
    data = ModelCardData(
        base_model=lineage.base.source if _HUB_ID.fullmatch(lineage.base.source) else None,
        eval_results=_results(findings),
        library_name="diffusers",
        license="other",
        license_name="as-the-base-model",
        model_name=registered_model,
        pipeline_tag=TASK,
        tags=["unlearning", "takedown"],
    )
    features = safe(evaluation.frechet_features)
    card = ModelCard.from_template(
        data,
        str(TEMPLATE),
        name=safe(registered_model),
        method=safe(str(lineage.config["unlearning"]["method"])),
        base=_base(findings),
        verdict="It passed the gate." if findings.decision.passed else "It did not pass the gate: do not use it.",
        forgotten=_table(_of_targets(evaluation.targets), features),
        earlier=_table(_of_targets(evaluation.earlier), features) if evaluation.earlier else "",
        rest=_table((("everything else", name, change) for name, change in evaluation.rest.items()), features),
        features=features,
        gate=markdown_table(
            ["condition", "rule", "measured", "met"],
            [
                [each.name, each.rule, each.measured, "yes" if each.passed else "no"]
                for each in findings.decision.conditions
            ],
        ),
        statement=STATEMENT,
        hashes=markdown_table(["SHA-256 of", ""], _hashes(findings)),
    )
    card.save(folder / CARD)
    return folder / CARD


def _base(findings: Findings) -> str:
    """The base as strangers may know it: paths of this machine are none of their business."""
    source = findings.lineage.base.source
    local = PurePath(source).is_absolute() or source.startswith((".", "~"))
    return f"`{safe(PurePath(source).name if local else source)}`"


def _of_targets(scores: Iterable[TargetScores]) -> list[tuple[str, str, Change]]:
    return [(f"{each.kind} “{each.name}”", name, change) for each in scores for name, change in each.numbers.items()]


def _table(rows: Iterable[tuple[str, str, Change]], features: str) -> str:
    """What was measured of what, before and after."""
    written = []
    for what, name, change in rows:
        quantity = QUANTITIES[name]
        cells = [
            f"{quantity.unit.value(each.value)} ({quantity.unit.range(each)})" for each in (change.before, change.after)
        ]
        written.append([what, f"{quantity.label}: {quantity.told(features)}", *cells, f"{change.after.samples:,}"])
    return markdown_table(["of", "measured", "before", "after", "pictures"], written)


def _hashes(findings: Findings) -> list[list[str]]:
    named: Mapping[str, str | None] = findings.lineage.hashes.model_dump()
    return [[name.replace("_", " "), value] for name, value in named.items() if value]


def _results(findings: Findings) -> "list[EvalResult]":
    """What was measured after, with the value before among its arguments, as the Hub's index of results has it."""
    from huggingface_hub import EvalResult

    world, revision = findings.case.world_name, findings.lineage.hashes.world
    targets = (*findings.evaluation.targets, *findings.evaluation.earlier)
    numbers = [(f"prompts for {each.name}", each.request_id, each.numbers) for each in targets]
    numbers += [("prompts for everything else", "rest", findings.evaluation.rest)]
    return [
        EvalResult(
            task_type=TASK,
            dataset_type=world,
            dataset_name=f"{world}: {about}",
            dataset_config=config,
            dataset_revision=revision,
            metric_type=name,
            metric_name=QUANTITIES[name].label,
            metric_value=change.after.value,
            metric_args={
                "low": change.after.low,
                "high": change.after.high,
                "samples": change.after.samples,
                "before": change.before.value,
            },
        )
        for about, config, changes in numbers
        for name, change in changes.items()
        if measured(change)
    ]
