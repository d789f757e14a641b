"""Checking a certificate as a stranger does: offline, from its file, what lies beside it, and the signer's key."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Any

from expunge.errors import ExpungeError
from expunge.release.agreement import check_agreement
from expunge.release.certificate import Certificate, check_digest, read_certificate
from expunge.release.chain import follow
from expunge.release.signing.envelope import envelope_of, open_envelope
from expunge.release.signing.keys import CERTIFICATE, KEYS
from expunge.release.signing.model_signature import SIGNATURE, check_model, files_digest
from expunge.release.signing.statements import MODEL_KEY, TEST_RESULT, predicates_of

WITHDRAWN = "withdrawn.json"  # beside the certificates that a roll-back took back; see ``withdrawal``
OWN_KEY = KEYS / f"{CERTIFICATE.name}.pub.pem"


class State(StrEnum):
    """How a check ended; ``not checked`` where what it needs was not given, and nothing speaks against it."""

    OK = "ok"
    FAILED = "failed"
    UNCHECKED = "not checked"


@dataclass(frozen=True)
class Check:
    """One thing that was checked, how that ended, and in a line what was found."""

    name: str
    state: State
    found: str


def verify_files(file: Path, key: Path | None = None, model: Path | None = None) -> list[Check]:
    """Check a certificate's file and everything that it can be held against.

    Args:
        file: the certificate as JSON; its signed statements and the signature of the model lie beside it.
        key: the signer's public ed25519 key in PEM, come by from a source that one trusts; by default this working
            directory's own, below ``.expunge/keys``.
        model: the model's folder; without it the model's files are not checked.

    Returns:
        Format, digest, signature, gate, chain, withdrawn and model. Where the first fails that is all.

    Raises:
        ExpungeError: there is no such file.
    """
    if not file.is_file():
        raise ExpungeError(f"certificate: there is no file {file}")
    text = file.read_bytes().decode("utf-8", errors="replace")
    try:
        certificate = read_certificate(text)
    except ExpungeError as error:
        return [Check("format", State.FAILED, str(error))]
    statements: dict[str, dict[str, Any]] = {}
    return [
        Check("format", State.OK, f"a certificate of format {certificate.format_version}"),
        _check("digest", lambda: _digest(certificate, text)),
        _check("signature", lambda: _signature(certificate, file, key or OWN_KEY, statements)),
        _check("gate", lambda: _gate(certificate)),
        _check("chain", lambda: follow(certificate, file)),
        _check("withdrawn", lambda: _withdrawn(certificate, file.with_name(WITHDRAWN))),
        _check("model", lambda: _model(certificate, file, model, statements)),
    ]


def _check(name: str, run: Callable[[], tuple[bool, str]]) -> Check:
    """Run a check that says whether there was something to check, and what it found."""
    try:
        checked, found = run()
    except ExpungeError as error:
        return Check(name, State.FAILED, str(error))
    return Check(name, State.OK if checked else State.UNCHECKED, found)


def _digest(certificate: Certificate, text: str) -> tuple[bool, str]:
    check_digest(certificate, text)
    return True, certificate.digest


def _gate(certificate: Certificate) -> tuple[bool, str]:
    judged = check_agreement(certificate)
    return True, f"{certificate.outcome.value}, as {judged} conditions judged anew from the numbers say"


def _withdrawn(certificate: Certificate, marks: Path) -> tuple[bool, str]:
    """Whether a roll-back took the certificate back, as far as the marks beside it tell."""
    if not marks.exists():
        return True, "no roll-back is noted beside it; the champion log has the last word"
    try:
        found = [
            each for each in json.loads(marks.read_text(encoding="utf-8")) if each["request"] == certificate.request.id
        ]
    except (ValueError, TypeError, KeyError) as error:
        raise ExpungeError(f"{marks.name}: cannot be read") from error
    if found:
        raise ExpungeError(f"the champion was rolled back to version {found[0]['champion']}: {found[0]['reason']}")
    return True, "not among those that a roll-back took back"


def _signature(
    certificate: Certificate, file: Path, key: Path, statements: dict[str, dict[str, Any]]
) -> tuple[bool, str]:
    """Whether what lies there was signed, and says what the certificate says; fills ``statements``."""
    if certificate.links is None:
        raise ExpungeError(f"not signed: certificates of format {certificate.format_version} were not")
    if not key.is_file():
        raise ExpungeError(f"there is no public key {key} to check it with. Give the signer's with --key.")
    signed = open_envelope(envelope_of(file), key.read_bytes(), str(key))
    for statement in signed.values():
        digests = {each["name"]: each["digest"].get("sha256") for each in statement["subject"]}
        for beside in (file, file.with_name(SIGNATURE)) if certificate.links.model_files else (file,):
            if not beside.is_file():
                raise ExpungeError(f"{beside.name}: it was signed, but is not beside the certificate")
            if sha256(beside.read_bytes()).hexdigest() != digests.get(beside.name):
                raise ExpungeError(f"{beside.name}: its bytes are not those that were signed")
    told, due = signed[TEST_RESULT]["predicate"], predicates_of(certificate)[TEST_RESULT]
    if told.get("result") != due["result"]:
        raise ExpungeError(f"{envelope_of(file).name}: it says of the gate {told.get('result')}, not {due['result']}")
    statements.update(signed)
    return True, f"file and statements of gate and lineage are as the holder of {key.name} signed them"


def _model(
    certificate: Certificate, file: Path, folder: Path | None, statements: dict[str, dict[str, Any]]
) -> tuple[bool, str]:
    """Hold a model's folder against its signature, with the key that the signed statements name."""
    signed = certificate.links.model_files if certificate.links else None
    if signed is None:
        if folder:
            raise ExpungeError("the certificate names no signed files of a model to hold the folder against")
        return False, "the certificate names no signed files of a model"
    if folder is None:
        return False, "give the model's folder with --model"
    models = [each.get("annotations", {}) for each in statements.get(TEST_RESULT, {}).get("subject", ())]
    pem = next((each[MODEL_KEY] for each in models if MODEL_KEY in each), None)
    if pem is None:
        raise ExpungeError("whose the model is cannot be told while the certificate's signature does not hold")
    if files_digest(file.with_name(SIGNATURE)) != signed:
        raise ExpungeError(f"{SIGNATURE}: it is of other files than the certificate names")
    check_model(folder, file.with_name(SIGNATURE), pem)
    return True, f"every file in {folder.name} is as it was signed, none is missing and none too many"
