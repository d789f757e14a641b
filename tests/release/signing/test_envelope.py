"""The signed statements: what they say, and that other projects' tools verify them without Expunge."""

import base64
import json
import subprocess
import sys
from hashlib import sha256

import pytest

from expunge.errors import ExpungeError
from expunge.release.certificate import load_certificate
from expunge.release.signing.envelope import envelope_of, open_envelope, sign_certificate
from expunge.release.signing.keys import CERTIFICATE, public_pem
from expunge.release.signing.statements import PROVENANCE, TEST_RESULT
from tests.release.made_release import issue, judged_findings, write_certificate

STRANGER = """
import json, sys
from google.protobuf.json_format import Parse
from in_toto_attestation.predicates.provenance.v1.provenance_pb2 import Provenance
from in_toto_attestation.predicates.test_result.v0.test_result_pb2 import TestResult
from in_toto_attestation.v1.statement import Statement
from in_toto_attestation.v1.statement_pb2 import Statement as StatementPb
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey

key = SSlibKey.from_crypto(load_pem_public_key(open(sys.argv[2], "rb").read()))
for line in open(sys.argv[1]):
    envelope = Envelope.from_dict(json.loads(line))
    envelope.verify([key], 1)
    statement = Statement.copy_from_pb(Parse(envelope.payload, StatementPb()))
    statement.validate()
    predicate = json.dumps(json.loads(envelope.payload)["predicate"])
    Parse(predicate, TestResult() if "test-result" in statement.pb.predicate_type else Provenance())
    print(statement.pb.predicate_type, *(f"{each.name}={each.digest['sha256']}" for each in statement.pb.subject))
assert not [name for name in sys.modules if name.split(".")[0] == "expunge"]
"""


def alone(*command: str, cwd) -> subprocess.CompletedProcess:
    """Run Python as somebody would who has no Expunge."""
    return subprocess.run([sys.executable, "-I", *command], cwd=cwd, capture_output=True, text=True)


def test_in_totos_and_securesystemslibs_own_code_verifies_them(release, tmp_path):
    done = alone("-c", STRANGER, str(release.envelope), str(release.key), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    certificate = load_certificate(release.certificate.read_text())
    digests = [
        f"{file.name}={sha256(file.read_bytes()).hexdigest()}" for file in (release.certificate, release.signature)
    ]
    about = [*digests, f"expunge-zoo/7={certificate.links.model_files}"]
    assert [line.split() for line in done.stdout.splitlines()] == [[TEST_RESULT, *about], [PROVENANCE, *about]]
    public_pem(CERTIFICATE, tmp_path)
    wrong = alone("-c", STRANGER, str(release.envelope), str(tmp_path / "certificate.pub.pem"), cwd=tmp_path)
    assert wrong.returncode != 0 and "VerificationError" in wrong.stderr


def test_model_signings_own_command_line_verifies_the_folder(release, tmp_path):
    command = ("-m", "model_signing", "verify", "key", str(release.model), "--signature", str(release.signature))
    done = alone(*command, "--public_key", str(release.model_key), cwd=tmp_path)
    assert done.returncode == 0 and "Verification succeeded" in done.stdout, done.stderr
    (release.model / "more.txt").write_text("")
    more = alone(*command, "--public_key", str(release.model_key), cwd=tmp_path)
    assert more.returncode == 1 and "more.txt" in more.stderr


def test_they_say_what_the_certificate_says(release):
    certificate = load_certificate(release.certificate.read_text())
    statements = open_envelope(release.envelope, release.key.read_bytes(), "the key")
    result, provenance = statements[TEST_RESULT]["predicate"], statements[PROVENANCE]["predicate"]
    assert result["result"] == "PASSED" and len(result["passedTests"]) == len(certificate.conditions)
    assert result["failedTests"] == []
    depends = {each["name"]: each.get("digest", {}) for each in provenance["buildDefinition"]["resolvedDependencies"]}
    assert depends["base model"]["sha256"] == certificate.hashes.base_model
    assert depends["code"]["gitCommit"] == certificate.code_commit
    assert provenance["runDetails"]["metadata"]["finishedOn"] == certificate.issued_at.isoformat()
    model = statements[TEST_RESULT]["subject"][2]
    assert model["annotations"] == {"publicKey": release.model_key.read_text(), "signature": "model.sig"}


def test_a_request_that_failed_is_signed_as_failed(tmp_path):
    findings = judged_findings(drop_at_most=0.01)
    file = write_certificate(issue(findings, previous=()), tmp_path)
    sign_certificate(file, tmp_path / "keys")
    key = public_pem(CERTIFICATE, tmp_path / "keys").encode()
    statement = open_envelope(envelope_of(file), key, "the key")[TEST_RESULT]
    assert statement["predicate"]["result"] == "FAILED"
    assert statement["predicate"]["failedTests"] == ["retain accuracy drop: high end ≤ 0.01"]
    assert [each["name"] for each in statement["subject"]] == [file.name]  # no folder was signed


def test_another_key_is_named_as_such(release, tmp_path):
    with pytest.raises(ExpungeError, match="intoto.jsonl: signed by another key than mine$"):
        open_envelope(release.envelope, public_pem(CERTIFICATE, tmp_path).encode(), "mine")


def forged(line: str, **changed) -> str:
    return json.dumps(json.loads(line) | changed, sort_keys=True, separators=(",", ":")) + "\n"


def test_what_is_none_or_was_changed_is_refused(release):
    first, second = release.envelope.read_text().splitlines(keepends=True)
    payload = json.loads(base64.b64decode(json.loads(first)["payload"]))
    payload["predicate"]["result"] = "FAILED"
    other = forged(first, payload=base64.b64encode(json.dumps(payload, sort_keys=True).encode()).decode())
    wrong = ["", first, second, first + first, first + second + "\n", first + second[:-1], other + second, "{}\n{}\n",
             "[]\n", "1\n", "[" * 100_000 + "\n", first.replace(":", ": ", 1) + second, "é\n",
             forged(first, payload=1) + second, forged(first, signatures=None) + second,
             forged(first, signatures=[]) + second, forged(first, payloadType="text/plain") + second]  # fmt: skip
    for text in wrong:
        release.envelope.write_text(text, encoding="utf-8")
        with pytest.raises(ExpungeError, match=r"certificate-cat-object\.intoto\.jsonl: ") as caught:
            open_envelope(release.envelope, release.key.read_bytes(), "the key")
        assert len(str(caught.value).splitlines()) == 1
    release.envelope.unlink()
    with pytest.raises(ExpungeError, match="^not signed: there is no certificate-cat-object.intoto.jsonl"):
        open_envelope(release.envelope, release.key.read_bytes(), "the key")


def test_nothing_is_signed_that_does_not_fit(release, tmp_path):
    file = write_certificate(issue(judged_findings(), model_files="0" * 64), tmp_path)
    with pytest.raises(ExpungeError, match="there is no signature"):
        sign_certificate(file, tmp_path / "keys")
    (tmp_path / "model.sig").write_bytes(release.signature.read_bytes())
    with pytest.raises(ExpungeError, match="model.sig: it is of other files than certificate cat-object names"):
        sign_certificate(file, tmp_path / "keys")
    file.write_text(file.read_text().replace("restricted_gradient", "another"))
    with pytest.raises(ExpungeError, match="was changed"):
        sign_certificate(file, tmp_path / "keys")
    assert not envelope_of(file).exists()
