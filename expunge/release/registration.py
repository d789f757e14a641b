"""Registration: how a finished run becomes a version of the registered model."""

import tempfile
from pathlib import Path

from expunge.evaluation.evaluation import Evaluation
from expunge.models.text_to_image import TextToImage
from expunge.release.findings import Findings
from expunge.release.model_version import Evidence, ModelVersion
from expunge.release.registry import Registry


def register(model: TextToImage, findings: Findings, registered_model: str) -> ModelVersion:
    """Register a model with its numbers, lineage and the gate's decision; once for the same weights."""
    lineage, decision = findings.lineage, findings.decision
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
        for name, paper in (("lineage", lineage), ("evaluation", findings.evaluation), ("gate", decision)):
            (papers / f"{name}.json").write_text(paper.model_dump_json(indent=1), encoding="utf-8")
        named = f"register: {', '.join(lineage.requests)}"
        evidence = Evidence(named, tags, version_metrics(findings.evaluation), {"evidence": papers})
        return Registry(name=registered_model).register(saved, lineage.hashes.unlearned_model, evidence)


def version_metrics(evaluation: Evaluation) -> dict[str, float]:
    """All that was measured, before and after, as MLflow compares versions by: ``retain_accuracy_after``, and with the
    request's id for what was measured of its target, ``unlearning_accuracy_ID_after``."""
    changes = dict(evaluation.rest)
    for each in (*evaluation.targets, *evaluation.earlier):
        changes |= {f"{name}_{each.request_id}": change for name, change in each.numbers.items()}
    found = {f"{name}_before": change.before.value for name, change in changes.items()}
    return found | {f"{name}_after": change.after.value for name, change in changes.items()}
