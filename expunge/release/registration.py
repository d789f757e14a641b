"""Registration: how a finished run becomes a version of the registered model."""

import tempfile
from pathlib import Path

from expunge.evaluation.evaluation import Evaluation, GateDecision
from expunge.models.text_to_image import TextToImage
from expunge.release.lineage import Lineage
from expunge.release.model_version import Evidence, ModelVersion
from expunge.release.registry import Registry

# Of the rest, what versions are compared by: quantities, and what MLflow calls them.
HEADLINES = {
    "retain_accuracy": "ra",
    "frechet_distance": "fd",
    "alignment_train": "as_train",
    "alignment_held_out": "as_held_out",
}


def register(
    model: TextToImage, evaluation: Evaluation, decision: GateDecision, lineage: Lineage, registered_model: str
) -> ModelVersion:
    """Register a model with its numbers, lineage and the gate's decision; once for the same weights."""
    tags = {
        "base": lineage.base.source,
        "base_version": str(lineage.base.version or ""),
        "requests": ", ".join(lineage.requests),
        "code_commit": lineage.code_commit,
        "gate_passed": str(decision.passed).lower(),
        **{f"sha256_{name}": value for name, value in lineage.hashes.model_dump().items()},
    }
    with tempfile.TemporaryDirectory() as folder:
        saved, papers = Path(folder, "model"), Path(folder, "papers")
        model.save(saved)
        papers.mkdir()
        for name, paper in (("lineage", lineage), ("evaluation", evaluation), ("gate", decision)):
            (papers / f"{name}.json").write_text(paper.model_dump_json(indent=1), encoding="utf-8")
        evidence = Evidence(
            f"register: {', '.join(lineage.requests)}", tags, headline_metrics(evaluation), {"evidence": papers}
        )
        return Registry(name=registered_model).register(saved, lineage.hashes.unlearned_model, evidence)


def headline_metrics(evaluation: Evaluation) -> dict[str, float]:
    """The numbers that versions are compared by, before and after."""
    asked = (*evaluation.targets, *evaluation.earlier)
    measured = ((each.request_id, each.numbers.get("unlearning_accuracy")) for each in asked)
    changes = {f"ua_{request}": ua for request, ua in measured if ua}
    changes |= {short: evaluation.rest[name] for name, short in HEADLINES.items() if name in evaluation.rest}
    sides = (("before", lambda change: change.before), ("after", lambda change: change.after))
    return {f"{name}_{side}": pick(change).value for name, change in changes.items() for side, pick in sides}
