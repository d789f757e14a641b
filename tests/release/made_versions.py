"""What a run registers, without the run: made findings for real requests, and the tiny model under a digest."""

import hashlib
from collections.abc import Sequence

from expunge.evaluation.gate import GateThresholds, judge
from expunge.models.text_to_image import TextToImage
from expunge.prompts.target import Target
from expunge.release.certificate import Certificate
from expunge.release.findings import Findings
from expunge.release.model_version import ModelVersion
from expunge.release.registration import register
from expunge.release.registry import Registry
from expunge.takedown.request import TakedownBatch, TakedownRequest
from tests.release.made_release import judged_findings
from tests.reports.made_facts import make_findings


def findings_for(
    requests: Sequence[TakedownRequest], made_from: int | None = None, passed: bool = True, days: float | None = None
) -> Findings:
    """As a run on these requests would find: the model's digest depends on them and on its base."""
    like = judged_findings()
    scores = tuple(
        like.evaluation.targets[0].model_copy(update={"request_id": each.id, "name": each.target}) for each in requests
    )
    targets = tuple(
        Target(request_id=each.id, kind=each.kind, name=each.target, factor="subject", levels=(each.target,))
        for each in requests
    )
    evaluation = like.evaluation.model_copy(update={"targets": scores})
    thresholds = GateThresholds(retain_accuracy_drop_at_most=0.05 if passed else 0.03)
    decision = judge(evaluation, thresholds).model_copy(update={"approval_within_days": days})
    batch = TakedownBatch(requests=tuple(requests))
    made = make_findings(batch=batch, targets=targets, evaluation=evaluation, decision=decision)
    digest = hashlib.sha256(f"{[each.id for each in requests]} on {made_from}".encode()).hexdigest()
    base_digest = made.lineage.hashes.base_model
    if made_from is not None:
        base_digest = Registry().get(made_from).digest
    base = made.lineage.base.model_copy(update={"version": made_from, "digest": base_digest})
    hashes = made.lineage.hashes.model_copy(update={"unlearned_model": digest, "base_model": base_digest})
    return made.model_copy(update={"lineage": made.lineage.model_copy(update={"base": base, "hashes": hashes})})


def registered(model: TextToImage, findings: Findings, name: str) -> ModelVersion:
    return register(model, findings, name, "<p>report</p>")


def page_of(certificate: Certificate) -> str:
    return f"<p>{certificate.request.id}</p>"
