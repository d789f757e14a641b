"""The certificate of one takedown: what was asked and done, how well it worked, and hashes to check it by."""

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, field_validator

from expunge.errors import ExpungeError
from expunge.evaluation.evaluation import Condition, Evaluation, GateDecision
from expunge.metrics.numbers import Change
from expunge.metrics.quantities import QUANTITIES, checked_names, quantities_of
from expunge.reports import wording
from expunge.takedown.life_cycle import Outcome
from expunge.takedown.request import TakedownRequest

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Hashes(BaseModel):
    """SHA-256 of what went in and what came out, in hexadecimal."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    base_model: Sha256
    unlearned_model: Sha256
    forget_set: Sha256
    retain_set: Sha256
    config: Sha256


class Certificate(BaseModel):
    """One request's certificate. It holds no picture and no prompt of the target beyond the request itself.

    Attributes:
        settings_sha256: of the method's settings as canonical JSON.
        numbers: of the target and of the rest, by name in ``QUANTITIES``; None or missing where there is none.
        digest: SHA-256 of all other fields as canonical JSON. It shows changes; it is no signature.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    format_version: Literal[1] = 1
    request: TakedownRequest
    request_sha256: Sha256
    outcome: Literal[Outcome.FULFILLED, Outcome.FAILED]
    method: str = Field(min_length=1)
    settings_sha256: Sha256
    numbers: dict[str, Change | None]
    frechet_features: str
    conditions: tuple[Condition, ...]
    hashes: Hashes
    code_commit: str = Field(min_length=1)
    registered_model: str | None
    registered_version: str | None
    issued_at: AwareDatetime
    statement: str
    digest: Sha256

    @field_validator("numbers")
    @classmethod
    def _names_are_known(cls, numbers: dict[str, Change | None]) -> dict[str, Change | None]:
        return checked_names(numbers)


def certify(
    request: TakedownRequest,
    evaluation: Evaluation,
    decision: GateDecision,
    *,
    method: str,
    settings: Mapping[str, Any],
    hashes: Hashes,
    code_commit: str,
    issued_at: AwareDatetime,
    registered_model: str | None = None,
    registered_version: str | None = None,
) -> Certificate:
    """Draw up the certificate of one request.

    Args:
        request: as it was filed.
        evaluation: of the run; only this request's target and the retention numbers are taken.
        decision: the gate's, which decides the outcome.
        method: the unlearning method's registry name.
        settings: the method's settings; only their hash is kept.
        hashes: of models, data and config.
        code_commit: of this project.
        issued_at: with a time zone.
        registered_model: the registry's name of the unlearned model; needed for a pass.
        registered_version: its version there; needed for a pass.

    Raises:
        ExpungeError: the gate passed without evidence for this request, or without a registered model.
    """
    numbers = _numbers(request, evaluation)
    if decision.passed:
        _check_evidence(request, numbers, decision, registered_model, registered_version)
    fields = {
        "request": request,
        "request_sha256": sha256_of(request.model_dump(mode="json")),
        "outcome": Outcome.FULFILLED if decision.passed else Outcome.FAILED,
        "method": method,
        "settings_sha256": sha256_of(dict(settings)),
        "numbers": numbers,
        "frechet_features": evaluation.frechet_features,
        "conditions": decision.conditions,
        "hashes": hashes,
        "code_commit": code_commit,
        "registered_model": registered_model,
        "registered_version": registered_version,
        "issued_at": issued_at,
        "statement": wording.APPROXIMATE,
    }
    try:
        draft = Certificate.model_validate(fields | {"digest": "0" * 64})
    except ValidationError as error:
        raise ExpungeError(f"certificate of request {request.id}: {error}") from error
    return draft.model_copy(update={"digest": _digest(draft)})


def verify(certificate: Certificate) -> bool:
    """Whether digest and request hash fit the content, i.e. nothing was changed since it was drawn up."""
    request_fits = certificate.request_sha256 == sha256_of(certificate.request.model_dump(mode="json"))
    return request_fits and certificate.digest == _digest(certificate)


def load_certificate(text: str) -> Certificate:
    """Read a certificate from JSON and verify it.

    Raises:
        ExpungeError: it is no certificate of a known format version, or it was changed.
    """
    try:
        certificate = Certificate.model_validate_json(text)
    except ValidationError as error:
        raise ExpungeError(f"not a certificate: {error}") from error
    if not verify(certificate):
        raise ExpungeError(
            f"certificate of request {certificate.request.id}: its content does not fit its digest, so it "
            "was changed after it was drawn up. Get the original from the run's artifacts."
        )
    return certificate


def sha256_of(content: Any) -> str:
    """SHA-256 of canonical JSON: sorted keys, no spaces, UTF-8, no NaN.

    Raises:
        ExpungeError: the content holds a number or a type that JSON cannot hold.
    """
    try:
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ExpungeError(
            f"cannot hash {type(content).__name__} as JSON: {error}. Give plain finite values."
        ) from error
    return hashlib.sha256(text.encode()).hexdigest()


def _numbers(request: TakedownRequest, evaluation: Evaluation) -> dict[str, Change | None]:
    scores = next((each for each in evaluation.targets if each.request_id == request.id), None)
    own = {each.name for each in quantities_of("target")}
    rest = {name: change for name, change in evaluation.rest.items() if name not in own}
    found = {**(scores.numbers if scores else {}), **rest}
    return {name: _measured(found[name]) for name in QUANTITIES if name in found}


def _measured(change: Change) -> Change | None:
    """The change, or None if any of its numbers is undefined: JSON knows no NaN."""
    intervals = (change.before, change.after, change.difference)
    return change if all(math.isfinite(x) for each in intervals for x in (each.value, each.low, each.high)) else None


def _check_evidence(
    request: TakedownRequest,
    numbers: Mapping[str, Change | None],
    decision: GateDecision,
    registered_model: str | None,
    registered_version: str | None,
) -> None:
    missing = [name for name in ("unlearning_accuracy", "retain_accuracy") if numbers.get(name) is None]
    if missing:
        raise ExpungeError(f"certificate of request {request.id}: the gate passed, but {missing} were not measured")
    if not decision.conditions or not all(condition.passed for condition in decision.conditions):
        raise ExpungeError(f"certificate of request {request.id}: the gate passed, but not every condition is met")
    if registered_model is None or registered_version is None:
        raise ExpungeError(
            f"certificate of request {request.id}: passed, but registered_model and registered_version are "
            f"{registered_model!r} and {registered_version!r}. Register the model first."
        )


def _digest(certificate: Certificate) -> str:
    return sha256_of(certificate.model_dump(mode="json", exclude={"digest"}))
