"""Registration: how a finished run becomes a version of the registered model."""

import tempfile
from pathlib import Path

from expunge.evaluation.evaluation import Evaluation
from expunge.models.text_to_image import TextToImage
from expunge.release.base_model import FIRST
from expunge.release.findings import Findings
from expunge.release.model_card import write_model_card
from expunge.release.model_version import SEPARATOR, Evidence, ModelVersion
from expunge.release.registry import Registry
from expunge.release.signing.model_signature import SIGNATURE, sign_model

REPORT = "report.html"
SIGNED = "signature"  # the folder of the model's signature in the run


def register(model: TextToImage, findings: Findings, registered_model: str, report: str) -> ModelVersion:
    """Register a model, its card and signature, with all its evidence, before anything is decided on it.

    The same weights are registered once, and signed once: then only the evidence is new.

    Whoever finds the version can promote it and close its requests: see ``settling``.

    Args:
        report: the run's, as HTML.
    """
    lineage, decision = findings.lineage, findings.decision
    tags = {
        "base": lineage.base.source,
        "base_version": str(lineage.base.version or ""),
        "requests": SEPARATOR.join(lineage.requests),
        "code_commit": lineage.code_commit,
        "gate_passed": str(decision.passed).lower(),
        FIRST: lineage.base.first_digest,
        **{f"sha256_{name}": value for name, value in lineage.hashes.model_dump().items()},
    }
    with tempfile.TemporaryDirectory() as folder:
        saved, papers, signed = (Path(folder, name) for name in ("model", "papers", "signed"))
        model.save(saved)
        write_model_card(saved, findings, registered_model)
        papers.mkdir()
        signed.mkdir()
        named = {"lineage": lineage, "evaluation": findings.evaluation, "gate": decision, "findings": findings}
        for name, paper in named.items():
            (papers / f"{name}.json").write_text(paper.model_dump_json(indent=1), encoding="utf-8")
        page = Path(folder, REPORT)
        page.write_text(report, encoding="utf-8")
        registry = Registry(name=registered_model)
        if known := registry.with_digest(lineage.hashes.unlearned_model):
            registry.fetch(known.version, SIGNED, signed)
        else:
            sign_model(saved, signed / SIGNATURE)
        run = f"register: {', '.join(lineage.requests)}"
        evidence = Evidence(
            run,
            tags,
            version_metrics(findings.evaluation),
            {"evidence": papers, "report": page, SIGNED: signed},
            _description(findings),
            {"forget set": lineage.hashes.forget_set, "retain set": lineage.hashes.retain_set, **_held_out(findings)},
        )
        return registry.register(saved, lineage.hashes.unlearned_model, evidence)


def _description(findings: Findings) -> str:
    """What a person who looks through the registry wants to know first."""
    made_from = findings.lineage.base
    names = ", ".join(f"{each.name} ({each.kind.value})" for each in findings.case.targets)
    gate = "It passed the gate." if findings.decision.passed else f"It did not pass the gate: {findings.failures()}."
    earlier = [each.name for each in findings.evaluation.earlier]
    before = f" Forgotten before, and asked for again: {', '.join(earlier)}." if earlier else ""
    return f"Made to forget **{names}**, from {made_from.source}. {gate}{before}"


def _held_out(findings: Findings) -> dict[str, str]:
    """What it was measured on: the world's held-out wordings, with how and by whom the pictures were judged."""
    return {"held-out prompts": findings.lineage.hashes.world or "", "case": findings.lineage.hashes.case or ""}


def version_metrics(evaluation: Evaluation) -> dict[str, float]:
    """All that was measured, before and after, as MLflow compares versions by: ``retain_accuracy_after``, and with the
    request's id for what was measured of its target, ``unlearning_accuracy_ID_after``."""
    changes = dict(evaluation.rest)
    for each in (*evaluation.targets, *evaluation.earlier):
        changes |= {f"{name}_{each.request_id}": change for name, change in each.numbers.items()}
    found = {f"{name}_before": change.before.value for name, change in changes.items()}
    return found | {f"{name}_after": change.after.value for name, change in changes.items()}
