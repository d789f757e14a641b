"""Closing: each request gets its outcome and its certificate, and the report is put on file."""

from pathlib import Path

from expunge.evaluation.evaluation import Evaluation, GateDecision
from expunge.release.certificate import Certificate, certify
from expunge.release.lineage import Lineage
from expunge.release.model_version import ModelVersion
from expunge.release.registry import Registry
from expunge.reports.certificate_page import render_certificate
from expunge.takedown.inbox import Inbox
from expunge.takedown.object_store import open_store
from expunge.takedown.request import TakedownBatch

REPORTS = Path(".expunge") / "reports"


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
