"""Close the requests: outcome, certificate, report."""

from typing import Annotated

from zenml import step
from zenml.types import HTMLString

import materializers  # noqa: F401
from expunge.release import closing as release
from expunge.release.certificate import Certificate
from expunge.release.findings import Findings
from expunge.release.model_version import ModelVersion
from expunge.reports.certificate_page import render_certificate


@step(enable_cache=False)
def close_takedowns(
    inbox: str, findings: Findings, version: ModelVersion, report: HTMLString
) -> Annotated[list[Certificate], "certificates"]:
    """Each request gets its outcome and certificate; the report is attached to the registered version."""
    return release.close(inbox, findings, version, str(report), render_certificate)
