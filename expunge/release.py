"""Lineage, registration and closing: how a finished run becomes a version, a report and certificates."""

import subprocess
import tempfile
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from expunge.evaluation import Evaluation, GateDecision
from expunge.model_version import ModelVersion
from expunge.models.base import BaseModelFacts
from expunge.models.picture_set import PictureSet
from expunge.models.stable_diffusion import StableDiffusion
from expunge.registry import Registry
from expunge.reports.certificate import Certificate, Hashes, certify, render_certificate, sha256_of
from expunge.takedown.inbox import Inbox
from expunge.takedown.request import TakedownBatch
from expunge.takedown.store import open_store

REPORTS = Path(".expunge") / "reports"


class Lineage(BaseModel):
    """What an unlearned model was made from.

    Attributes:
        base: the base model.
        hashes: SHA-256 of models, sets and config.
        requests: ids and their SHA-256.
        config: the run's settings.
        code_commit: of this project, or its version where there is no checkout.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    base: BaseModelFacts
    hashes: Hashes
    requests: dict[str, str]
    config: dict[str, Any]
    code_commit: str


def trace(
    base: BaseModelFacts,
    unlearned: StableDiffusion,
    forget: PictureSet,
    retain: PictureSet,
    takedowns: TakedownBatch,
    config: dict[str, Any],
) -> Lineage:
    """Hash everything that went into a run and came out of it."""
    return Lineage(
        base=base,
        hashes=Hashes(
            base_model=base.digest,
            unlearned_model=unlearned.digest(),
            forget_set=forget.digest(),
            retain_set=retain.digest(),
            config=sha256_of(config),
        ),
        requests={each.id: sha256_of(each.model_dump(mode="json")) for each in takedowns.requests},
        config=config,
        code_commit=code_commit(),
    )


def code_commit() -> str:
    """The checkout's commit, with ``+changes`` if the tree differs from it; else the installed version."""
    here = Path(__file__).parent
    try:
        commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, check=True)
        changed = subprocess.run(
            ["git", "status", "--porcelain", "--untracked-files=no"],
            cwd=here,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return f"expunge {installed_version('expunge')}"
    return commit.stdout.strip() + ("+changes" if changed.stdout.strip() else "")


def register(
    model: StableDiffusion, evaluation: Evaluation, decision: GateDecision, lineage: Lineage, registered_model: str
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
            (papers / f"{name}.json").write_text(paper.model_dump_json(indent=1))
        return Registry(name=registered_model).register(
            saved,
            digest=lineage.hashes.unlearned_model,
            tags=tags,
            metrics=headline_metrics(evaluation),
            artifacts={"evidence": papers},
            run_name=f"register: {', '.join(lineage.requests)}",
        )


def headline_metrics(evaluation: Evaluation) -> dict[str, float]:
    """The numbers that versions are compared by, before and after."""
    asked = (*evaluation.targets, *evaluation.earlier)
    changes = {f"ua_{target.request_id}": target.unlearning_accuracy for target in asked}
    changes |= {
        "ra": evaluation.retain_accuracy,
        "fd": evaluation.frechet_distance,
        "as_train": evaluation.alignment_train,
        "as_held_out": evaluation.alignment_held_out,
    }
    sides = (("before", lambda change: change.before), ("after", lambda change: change.after))
    return {f"{name}_{side}": pick(change).value for name, change in changes.items() for side, pick in sides}


def close(
    inbox: str,
    takedowns: TakedownBatch,
    evaluation: Evaluation,
    decision: GateDecision,
    lineage: Lineage,
    version: ModelVersion,
    report: str,
    method: str,
) -> list[Certificate]:
    """Give each request its outcome and certificate, and put report and certificates on file.

    They are written below ``.expunge/reports/VERSION`` and attached to the version's run in MLflow.
    """
    folder = REPORTS / f"{version.name}-{version.version}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.html").write_text(report)
    box = Inbox(open_store(inbox))
    certificates = []
    for request in takedowns.requests:
        certificate = certify(
            request,
            evaluation,
            decision,
            method=method,
            settings=lineage.config["unlearning"],
            hashes=lineage.hashes,
            code_commit=lineage.code_commit,
            issued_at=version.created_at,
            registered_model=version.name,
            registered_version=str(version.version),
        )
        (folder / f"certificate-{request.id}.json").write_text(certificate.model_dump_json(indent=1))
        (folder / f"certificate-{request.id}.html").write_text(render_certificate(certificate))
        certificates.append(certificate)
    Registry(name=version.name).attach(version.version, {"report": folder})
    reason = "the gate was passed" if decision.passed else _failures(decision)
    for certificate in certificates:
        facts = certificate.model_dump(mode="json")
        box.close(certificate.request.id, certificate.outcome.value, reason, facts)
    return certificates


def _failures(decision: GateDecision) -> str:
    failed = [f"{each.name}: {each.measured} ({each.rule})" for each in decision.conditions if not each.passed]
    return "the gate was not passed: " + "; ".join(failed)
