"""What a run registers, without the run: made findings for real requests, and the tiny model under a digest."""

import hashlib
from collections.abc import Sequence

from expunge.models.text_to_image import TextToImage
from expunge.prompts.target import Target
from expunge.release.certificate import Certificate
from expunge.release.findings import Findings
from expunge.release.model_version import ModelVersion
from expunge.release.registration import register
from expunge.takedown.request import TakedownBatch, TakedownRequest
from tests.reports.made_facts import make_decision, make_evaluation, make_findings


def findings_for(
    requests: Sequence[TakedownRequest], made_from: int | None = None, passed: bool = True, days: float | None = None
) -> Findings:
    """As a run on these requests would find: the model's digest depends on them and on its base."""
    names = [request.id for request in requests]
    evaluation = make_evaluation()
    scores = tuple(
        evaluation.targets[0].model_copy(update={"request_id": request.id, "name": request.target})
        for request in requests
    )
    targets = tuple(
        Target(request_id=each.id, kind=each.kind, name=each.target, factor="subject", levels=(each.target,))
        for each in requests
    )
    made = make_findings(
        batch=TakedownBatch(requests=tuple(requests)),
        targets=targets,
        evaluation=evaluation.model_copy(update={"targets": scores}),
        decision=make_decision(passed).model_copy(update={"approval_within_days": days}),
    )
    digest = hashlib.sha256(f"{names} on {made_from}".encode()).hexdigest()
    lineage = made.lineage
    base = lineage.base.model_copy(update={"version": made_from})
    hashes = lineage.hashes.model_copy(update={"unlearned_model": digest})
    return made.model_copy(update={"lineage": lineage.model_copy(update={"base": base, "hashes": hashes})})


def registered(model: TextToImage, findings: Findings, name: str) -> ModelVersion:
    return register(model, findings, name, "<p>report</p>")


def page_of(certificate: Certificate) -> str:
    return f"<p>{certificate.request.id}</p>"
