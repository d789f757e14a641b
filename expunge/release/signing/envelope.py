"""The signed statements beside a certificate: in-toto statements in DSSE envelopes, one a line.

The file ends in ``.intoto.jsonl``, as in-toto calls a bundle of attestations. ``securesystemslib.dsse.Envelope`` reads
and verifies each line without Expunge.
"""

import json
from pathlib import Path
from typing import Any

from expunge.errors import ExpungeError
from expunge.release.certificate import load_certificate
from expunge.release.signing.keys import CERTIFICATE, KEYS, MODEL, private_key, public_pem, read_public_key
from expunge.release.signing.statements import PROVENANCE, TEST_RESULT, predicates_of, subjects_of

PAYLOAD_TYPE = "application/vnd.in-toto+json"


def envelope_of(certificate: Path) -> Path:
    """The file beside a certificate's that holds its signed statements."""
    return certificate.with_name(f"{certificate.stem}.intoto.jsonl")


def sign_certificate(file: Path, keys: Path = KEYS) -> Path:
    """Sign a certificate's file as it lies there, and with it the signature of the model's folder beside it.

    Args:
        file: the certificate as JSON; where it names ``model_files``, ``model.sig`` lies beside it and was made with
            the key in ``keys``.
        keys: where keys are kept.

    Returns:
        The file with the signed statements.

    Raises:
        ExpungeError: it is no certificate or was changed, the model's signature does not fit, or the key is none.
    """
    from google.protobuf.json_format import MessageToDict, ParseDict
    from in_toto_attestation.v1.resource_descriptor_pb2 import ResourceDescriptor
    from in_toto_attestation.v1.statement import Statement
    from securesystemslib.dsse import Envelope
    from securesystemslib.signer import CryptoSigner

    certificate = load_certificate(file.read_text(encoding="utf-8"))
    signed = certificate.links and certificate.links.model_files
    subjects = subjects_of(certificate, file, public_pem(MODEL, keys) if signed else None)
    signer, lines = CryptoSigner(private_key(CERTIFICATE, keys)), []
    for kind, predicate in predicates_of(certificate).items():
        statement = Statement([ParseDict(each, ResourceDescriptor()) for each in subjects], kind, predicate)
        statement.validate()
        payload = json.dumps(MessageToDict(statement.pb), sort_keys=True, ensure_ascii=False).encode()
        envelope = Envelope(payload, PAYLOAD_TYPE, {})
        envelope.sign(signer)
        lines.append(_line(envelope))
    envelope_of(file).write_text("".join(lines), encoding="ascii")
    return envelope_of(file)


def open_envelope(file: Path, public_pem: bytes, where: str) -> dict[str, dict[str, Any]]:
    """The statements that were signed, by the predicate's type.

    Args:
        file: the signed statements.
        public_pem: the signer's public ed25519 key in PEM.
        where: what errors call the key.

    Raises:
        ExpungeError: there is no such file, it was changed in any byte, or is signed by another key.
    """
    from google.protobuf.json_format import Error as NoStatement
    from google.protobuf.json_format import Parse
    from in_toto_attestation.v1.statement_pb2 import Statement
    from securesystemslib.dsse import Envelope
    from securesystemslib.exceptions import Error
    from securesystemslib.signer import SSlibKey

    key = SSlibKey.from_crypto(read_public_key(CERTIFICATE, public_pem, where))
    try:
        text, statements = file.read_bytes().decode("ascii"), {}
        for line in text.split("\n")[:-1]:
            envelope = Envelope.from_dict(json.loads(line))
            if _line(envelope) != f"{line}\n":
                raise ValueError("it is not written as it was signed")
            if key.keyid not in envelope.signatures:
                raise ExpungeError(f"{file.name}: signed by another key than {where}")
            envelope.verify([key], 1)
            Parse(envelope.payload, Statement())
            statement = json.loads(envelope.payload)
            statements[statement["predicateType"]] = statement
    except FileNotFoundError as error:
        raise ExpungeError(f"not signed: there is no {file.name} beside the certificate") from error
    except ExpungeError:  # a ValueError too
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, Error, NoStatement) as error:
        raise ExpungeError(f"{file.name}: it was changed after it was signed") from error
    if set(statements) != {TEST_RESULT, PROVENANCE} or text.count("\n") != len(statements) or text[-1] != "\n":
        raise ExpungeError(f"{file.name}: it does not hold one test result and one provenance")
    return statements


def _line(envelope: Any) -> str:
    """An envelope as it is written, so that no byte of it can be another and mean the same."""
    return json.dumps(envelope.to_dict(), sort_keys=True, separators=(",", ":")) + "\n"
