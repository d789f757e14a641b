"""Closing: each request gets its outcome and its certificate, and the report is put on file."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from expunge.release.certificate import Certificate
from expunge.release.certifying import certify
from expunge.release.findings import Findings
from expunge.release.model_version import ModelVersion
from expunge.release.registry import Registry
from expunge.takedown.inbox import Inbox
from expunge.takedown.object_store import open_store

REPORTS = Path(".expunge") / "reports"


def close(
    inbox: str, findings: Findings, version: ModelVersion, report: str, page_of: Callable[[Certificate], str]
) -> list[Certificate]:
    """Give each request its outcome and certificate, and put report and certificates on file.

    They are written below ``.expunge/reports/VERSION`` and attached to the version's run in MLflow.

    Args:
        report: the run's, as HTML.
        page_of: renders a certificate as HTML.
    """
    folder = REPORTS / f"{version.name}-{version.version}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.html").write_text(report, encoding="utf-8")
    now = datetime.now(UTC)
    certificates = [certify(request, findings, version, now) for request in findings.case.batch.requests]
    for each in certificates:
        named = folder / f"certificate-{each.request.id}"
        named.with_name(f"{named.name}.json").write_text(each.model_dump_json(indent=1), encoding="utf-8")
        named.with_name(f"{named.name}.html").write_text(page_of(each), encoding="utf-8")
    Registry(name=version.name).attach(version.version, {"report": folder})
    reason = "the gate was passed" if findings.decision.passed else f"the gate was not passed: {findings.failures()}"
    box = Inbox(open_store(inbox))
    for each in certificates:
        box.close(each.request.id, each.outcome.value, reason, each.model_dump(mode="json"))
    return certificates
