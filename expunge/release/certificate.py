"""The certificate of one takedown: what was asked and done, how well it worked, and hashes to check it by."""

import hashlib
import json
import math
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from expunge.errors import ExpungeError
from expunge.evaluation.evaluation import Condition
from expunge.metrics.numbers import Change
from expunge.takedown.champion_log import Approval
from expunge.takedown.life_cycle import Outcome
from expunge.takedown.request import Kind

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
FORMATS = (1, 2, 3)
STATEMENT = (
    "Unlearning is approximate. The model's weights were changed to make it stop drawing the target when "
    "asked in the ways that were measured. It was not trained anew without the target: traces may remain, "
    "and whoever holds the weights may bring it back by further training or by prompts that were not tried."
)


class Hashes(BaseModel):
    """SHA-256 of what went in and what came out, in hexadecimal. Format 1 had none of case, world and judges."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    base_model: Sha256
    unlearned_model: Sha256
    forget_set: Sha256
    retain_set: Sha256
    config: Sha256
    case: Sha256 | None = None
    world: Sha256 | None = None
    judges: Sha256 | None = None


class Asked(BaseModel):
    """The request as it was when the certificate was drawn up; today's rules for filing are not asked of it."""

    model_config = ConfigDict(extra="allow", frozen=True)
    id: str
    kind: Kind
    target: str
    synonyms: tuple[str, ...] = ()
    pictures: tuple[str, ...] = ()
    requester: str = ""
    reason: str = ""
    filed_at: AwareDatetime


class Links(BaseModel):
    """What ties a certificate to the model's files and to the certificates before it; since format 3.

    Attributes:
        base_version: the version of the same registered model that this one was made from; None for the first.
        previous: digests of that version's certificates, in their order.
        model_files: SHA-256 of the model's files together, as the signature of its folder states it; None where the
            folder was not signed.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    base_version: Annotated[str, Field(pattern=r"^[1-9][0-9]{0,9}$")] | None = None
    previous: tuple[Sha256, ...] = ()
    model_files: Sha256 | None = None

    @model_validator(mode="after")
    def _previous_are_of_a_version(self) -> Self:
        if self.previous and self.base_version is None:
            raise ValueError("previous: certificates of the version before are named, but no base_version")
        return self


class Certificate(BaseModel):
    """One request's certificate. It holds no picture and no prompt of the target beyond the request itself.

    A field or a quantity that a later version of Expunge adds leaves those issued before valid: the digest is over what
    the certificate holds, and what it does not hold is no part of it.

    Attributes:
        settings_sha256: of the method's settings as canonical JSON.
        numbers: of the target and of the rest, by the quantity's name; None where it has no value. Any names: those
            that were measured when it was issued.
        links: to the model's files and the certificates before; formats 1 and 2 had none.
        approval: by the person who let the version pass, where the gate asked for one.
        digest: SHA-256 of all other fields as canonical JSON. It shows changes; it is no signature.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    format_version: Literal[1, 2, 3] = 3
    request: Asked
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
    links: Links | None = None
    approval: Approval | None = None
    digest: Sha256

    @model_validator(mode="after")
    def _hashes_fit_the_format(self) -> Self:
        given = self.hashes.model_fields_set & {"case", "world", "judges"}
        if len(given) != (3 if self.format_version > 1 else 0):
            raise ValueError(f"hashes: of case, world and judges a certificate of format {self.format_version} has "
                             f"{'all' if self.format_version > 1 else 'none'}")  # fmt: skip
        return self

    @model_validator(mode="after")
    def _links_fit_the_format(self) -> Self:
        due = self.format_version > 2
        if ("links" in self.model_fields_set) != due or (self.links is not None) != due:
            raise ValueError(f"links: a certificate of format {self.format_version} has {'them' if due else 'none'}")
        return self


def verify(certificate: Certificate) -> bool:
    """Whether digest and request hash fit the content, i.e. nothing was changed since it was drawn up."""
    return certificate.request_sha256 == sha256_of(_held(certificate.request)) and certificate.digest == digest_of(
        certificate
    )


def digest_of(certificate: Certificate) -> str:
    """SHA-256 of all fields that it holds but the digest."""
    return sha256_of({name: value for name, value in _held(certificate).items() if name != "digest"})


def load_certificate(text: str) -> Certificate:
    """Read a certificate of any format from JSON and verify it.

    Raises:
        ExpungeError: it is no certificate of a known format, or it was changed.
    """
    certificate = read_certificate(text)
    check_digest(certificate, text)
    return certificate


def read_certificate(text: str) -> Certificate:
    """Read a certificate of any format from JSON, without asking whether it was changed.

    Raises:
        ExpungeError: it is no certificate of a known format.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ExpungeError(f"not a certificate: it is no JSON ({str(error).splitlines()[0]})") from error
    given = content.get("format_version") if isinstance(content, dict) else None
    if given not in FORMATS or isinstance(given, bool):
        *others, last = map(str, FORMATS)
        raise ExpungeError(
            f"not a certificate: format_version is {given!r:.40}, known are {', '.join(others)} and {last}. "
            "One of a later format needs a later version of Expunge."
        )
    try:
        return Certificate.model_validate_json(text)
    except ValidationError as error:
        raise ExpungeError(f"not a certificate: {first_error(error)}") from error


def check_digest(certificate: Certificate, text: str) -> None:
    """Check that a certificate's digests fit what it holds, and what the text that it was read from holds.

    Raises:
        ExpungeError: they do not.
    """
    # What was read may be more tolerant than what was written: "z" for "Z" in a time, a number as text.
    written = sha256_of({name: value for name, value in json.loads(text).items() if name != "digest"})
    if not (verify(certificate) and written == certificate.digest):
        raise ExpungeError(
            f"certificate of request {certificate.request.id}: its content does not fit its digest, so it "
            "was changed after it was drawn up. Get the original from the run's artifacts."
        )


def measured(change: Change) -> Change | None:
    """The change, or None if any of its numbers is undefined: JSON knows no NaN."""
    intervals = (change.before, change.after, change.difference)
    return change if all(math.isfinite(x) for each in intervals for x in (each.value, each.low, each.high)) else None


def first_error(error: ValidationError) -> str:
    """The first of a model's errors, as one line that names the field."""
    first = error.errors()[0]
    where, said = ".".join(map(str, first["loc"])), str(first["msg"]).removeprefix("Value error, ")
    return f"{where}: {said}" if where else said


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


def _held(model: BaseModel) -> dict[str, Any]:
    """What was given or read, as JSON has it, without fields that it does not hold."""
    return model.model_dump(mode="json", exclude_unset=True)
