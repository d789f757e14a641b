"""Drawing up a certificate from what a run found, and refusing to without evidence."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from expunge.errors import ExpungeError
from expunge.metrics.numbers import Change
from expunge.metrics.quantities import quantities_of
from expunge.release.certificate import STATEMENT, Certificate, Links, digest_of, first_error, measured, sha256_of
from expunge.release.findings import Findings
from expunge.release.model_version import ModelVersion
from expunge.takedown.champion_log import Approval
from expunge.takedown.life_cycle import Outcome
from expunge.takedown.request import TakedownRequest

NEEDED = ("unlearning_accuracy", "retain_accuracy")  # a pass without them is none


def certify(
    request: TakedownRequest,
    findings: Findings,
    version: ModelVersion | None,
    issued_at: datetime,
    links: Links | None = None,
    approval: Approval | None = None,
) -> Certificate:
    """Draw up the certificate of one request.

    Args:
        request: as it was filed.
        findings: of the run; of the numbers only those of this request's target and of the rest are taken, of the
            method's settings only the hash.
        version: the registered model; needed for a pass.
        issued_at: with a time zone.
        links: to the model's signed files and to the certificates of the version before; where they are not given the
            certificate names that version alone.
        approval: a person's, where the gate asked for one.

    Raises:
        ExpungeError: the gate passed without evidence for this request, or without a registered model.
    """
    decision, lineage = findings.decision, findings.lineage
    numbers = _numbers(request, findings)
    if decision.passed:
        _check_evidence(request, numbers, findings, version)
    asked = request.model_dump(mode="json")
    fields: dict[str, Any] = {
        "format_version": 3,
        "request": asked,
        "request_sha256": sha256_of(asked),
        "outcome": Outcome.FULFILLED if decision.passed else Outcome.FAILED,
        "method": lineage.config["unlearning"]["method"],
        "settings_sha256": sha256_of(lineage.config["unlearning"]),
        "numbers": {name: change and change.model_dump() for name, change in numbers.items()},
        "frechet_features": findings.evaluation.frechet_features,
        "conditions": [each.model_dump() for each in decision.conditions],
        "hashes": lineage.hashes.model_dump(),
        "code_commit": lineage.code_commit,
        "registered_model": version.name if version else None,
        "registered_version": str(version.version) if version else None,
        "issued_at": issued_at,
        "statement": STATEMENT,
        "links": (links or links_to(findings)).model_dump(mode="json"),
        "approval": approval and approval.model_dump(mode="json"),
    }
    try:
        draft = Certificate.model_validate(fields | {"digest": "0" * 64})
    except ValidationError as error:
        raise ExpungeError(f"certificate of request {request.id}: {first_error(error)}") from error
    return draft.model_copy(update={"digest": digest_of(draft)})


def links_to(findings: Findings, previous: Iterable[str] = (), model_files: str | None = None) -> Links:
    """The links of a run's certificates.

    Args:
        previous: digests of the certificates of the version that the run started from.
        model_files: SHA-256 of the model's files together, from their signature.
    """
    base = findings.lineage.base.version
    return Links(base_version=None if base is None else str(base), previous=tuple(previous), model_files=model_files)


def _numbers(request: TakedownRequest, findings: Findings) -> dict[str, Change | None]:
    """The target's own numbers, and of the rest those that no target has."""
    targets = findings.evaluation.targets
    found = next((each.numbers for each in targets if each.request_id == request.id), {})
    own = {each.name for each in quantities_of("target")}
    rest = {name: change for name, change in findings.evaluation.rest.items() if name not in own}
    return {name: measured(change) for name, change in {**found, **rest}.items()}


def _check_evidence(
    request: TakedownRequest, numbers: dict[str, Change | None], findings: Findings, version: ModelVersion | None
) -> None:
    what, conditions = f"certificate of request {request.id}: the gate passed, but", findings.decision.conditions
    if missing := [name for name in NEEDED if numbers.get(name) is None]:
        raise ExpungeError(f"{what} {', '.join(missing)} were not measured")
    if not conditions or not all(condition.passed for condition in conditions):
        raise ExpungeError(f"{what} not every condition is met")
    if version is None:
        raise ExpungeError(f"{what} no model is registered. Register the model first.")
