"""A release that never was: a certificate that really follows from its numbers, signed, with the model's folder."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from expunge.evaluation.gate import GateThresholds, judge
from expunge.release.certificate import Certificate
from expunge.release.certifying import certify, links_to
from expunge.release.findings import Findings
from expunge.release.signing.envelope import envelope_of, sign_certificate
from expunge.release.signing.keys import CERTIFICATE, MODEL
from expunge.release.signing.model_signature import SIGNATURE, sign_model
from tests.release.test_certificate import VERSION, WHEN
from tests.reports import made_facts


@dataclass(frozen=True)
class Release:
    """The files of one, all below one folder."""

    certificate: Path
    model: Path
    keys: Path

    @property
    def envelope(self) -> Path:
        return envelope_of(self.certificate)

    @property
    def signature(self) -> Path:
        return self.certificate.with_name(SIGNATURE)

    @property
    def key(self) -> Path:
        return self.keys / f"{CERTIFICATE.name}.pub.pem"

    @property
    def model_key(self) -> Path:
        return self.keys / f"{MODEL.name}.pub.pem"


def judged_findings(drop_at_most: float = 0.05, **lineage: Any) -> Findings:
    """The made run's findings with the decision of the real gate; ``lineage`` replaces fields of theirs."""
    evaluation = made_facts.make_evaluation()
    more = {
        "content_kept": made_facts.change(0.9, 0.8, 0.05, 144),
        "proper_picture": made_facts.change(0.95, 0.9, 0.04, 144),
    }
    targets = tuple(each.model_copy(update={"numbers": each.numbers | more}) for each in evaluation.targets)
    evaluation = evaluation.model_copy(update={"targets": targets})
    decision = judge(evaluation, GateThresholds(retain_accuracy_drop_at_most=drop_at_most))
    findings = made_facts.make_findings(evaluation=evaluation, decision=decision)
    return findings.model_copy(update={"lineage": findings.lineage.model_copy(update=lineage)})


def issue(findings: Findings, version: int = 7, **links: Any) -> Certificate:
    """A certificate of the run for the request of a cat."""
    registered = VERSION.model_copy(update={"version": version})
    return certify(made_facts.make_requests()[1], findings, registered, WHEN, links_to(findings, **links))


def write_certificate(certificate: Certificate, folder: Path) -> Path:
    """Write it as closing does."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"certificate-{certificate.request.id}.json"
    file.write_text(certificate.model_dump_json(indent=1), encoding="utf-8")
    return file


def make_release(root: Path, model: Path) -> Release:
    """Sign a copy of a model's folder, certify it and sign the certificate, all below ``root``."""
    folder, keys = root / "reports" / "expunge-zoo-7", root / "keys"
    folder.mkdir(parents=True)
    shutil.copytree(model, root / "model")
    digest = sign_model(root / "model", folder / SIGNATURE, keys)
    file = write_certificate(issue(judged_findings(), model_files=digest), folder)
    sign_certificate(file, keys)
    return Release(file, root / "model", keys)
