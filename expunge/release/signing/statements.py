"""What a certificate says, as in-toto statements: the gate as a test result, the lineage as SLSA provenance."""

import re
from hashlib import sha256
from pathlib import Path
from typing import Any

from expunge.errors import ExpungeError
from expunge.release.certificate import Certificate
from expunge.release.signing.model_signature import SIGNATURE, files_digest
from expunge.takedown.life_cycle import Outcome

TEST_RESULT = "https://in-toto.io/attestation/test-result/v0.1"
PROVENANCE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:expunge:unlearning:1"
BUILDER = "urn:expunge:unlearn_pipeline"
MODEL_KEY = "publicKey"  # annotation of the model: whose signature its folder carries
_COMMIT = re.compile(r"[0-9a-f]{40}(?=\+changes$|$)")


def subjects_of(certificate: Certificate, file: Path, model_pem: str | None) -> list[dict[str, Any]]:
    """What the statements are about: the certificate's file, and where its folder was signed the model.

    Args:
        file: the certificate's; the signature of the model's folder lies beside it.
        model_pem: public key that belongs to that signature; None if the folder was not signed.

    Raises:
        ExpungeError: the signature is missing, or is one of other files than the certificate names.
    """
    subjects: list[dict[str, Any]] = [_subject(file)]
    named = certificate.links.model_files if certificate.links else None
    if named is None:
        return subjects
    signature = file.with_name(SIGNATURE)
    if files_digest(signature) != named:
        raise ExpungeError(f"{SIGNATURE}: it is of other files than certificate {certificate.request.id} names.")
    model = {
        "name": f"{certificate.registered_model}/{certificate.registered_version}",
        "digest": {"sha256": named},
        "annotations": {MODEL_KEY: model_pem, "signature": SIGNATURE},
    }
    return [*subjects, _subject(signature), model]


def predicates_of(certificate: Certificate) -> dict[str, dict[str, Any]]:
    """What is said about them, by the predicate's type."""
    return {TEST_RESULT: _test_result(certificate), PROVENANCE: _provenance(certificate)}


def _subject(file: Path) -> dict[str, Any]:
    return {"name": file.name, "digest": {"sha256": sha256(file.read_bytes()).hexdigest()}}


def _test_result(certificate: Certificate) -> dict[str, Any]:
    tests = {f"{each.name}: {each.rule}": each.passed for each in certificate.conditions}
    known = {"config": certificate.hashes.config, "world": certificate.hashes.world}
    return {
        "result": "PASSED" if certificate.outcome is Outcome.FULFILLED else "FAILED",
        "configuration": _descriptors(known | {"judges": certificate.hashes.judges}),
        "passedTests": [name for name, passed in tests.items() if passed],
        "failedTests": [name for name, passed in tests.items() if not passed],
    }


def _provenance(certificate: Certificate) -> dict[str, Any]:
    hashes, links = certificate.hashes, certificate.links
    went_in: dict[str, str | None] = {
        "base model": hashes.base_model,
        "forget set": hashes.forget_set,
        "retain set": hashes.retain_set,
        "case": hashes.case,
    }
    before: dict[str, str | None] = (
        {f"certificate before, {place}": each for place, each in enumerate(links.previous, 1)} if links else {}
    )
    commit = _COMMIT.match(certificate.code_commit)
    code: dict[str, Any] = {"name": "code", "annotations": {"version": certificate.code_commit}}
    if commit:
        code["digest"] = {"gitCommit": commit[0]}
    return {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": {
                "request": certificate.request.id,
                "requestSha256": certificate.request_sha256,
                "baseVersion": (links.base_version or "") if links else "",
            },
            "internalParameters": {"method": certificate.method, "settingsSha256": certificate.settings_sha256},
            "resolvedDependencies": [*_descriptors(went_in | before), code],
        },
        "runDetails": {
            "builder": {"id": BUILDER},
            "metadata": {"finishedOn": certificate.issued_at.isoformat()},
            "byproducts": _descriptors({"unlearned model, its weights": hashes.unlearned_model}),
        },
    }


def _descriptors(digests: dict[str, str | None]) -> list[dict[str, Any]]:
    return [{"name": name, "digest": {"sha256": value}} for name, value in digests.items() if value]
