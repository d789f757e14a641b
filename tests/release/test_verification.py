"""Verifying as a stranger does: all right as signed, and any one byte changed is noticed and named."""

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from expunge.errors import ExpungeError
from expunge.release.certificate import load_certificate
from expunge.release.signing.envelope import sign_certificate
from expunge.release.signing.keys import CERTIFICATE, public_pem
from expunge.release.verification import State, verify_files
from tests.release.made_release import issue, judged_findings, write_certificate
from tests.release.test_certificate import OF_FORMAT_1, with_digest

CHECKS = ["format", "digest", "signature", "gate", "chain", "withdrawn", "model"]


def failed(release, model: Path | None = None, key: Path | None = None) -> dict[str, str]:
    """What failed, by check."""
    checks = verify_files(release.certificate, key or release.key, model)
    return {each.name: each.found for each in checks if each.state is State.FAILED}


def tampered(data, file: Path) -> bytes:
    """The file's content with one byte changed."""
    content = file.read_bytes()
    place = data.draw(st.integers(0, len(content) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda byte: byte != content[place]))
    return content[:place] + bytes([byte]) + content[place + 1 :]


def test_all_is_right_as_it_was_signed(release):
    checks = verify_files(release.certificate, release.key, release.model)
    assert [each.name for each in checks] == CHECKS
    assert {each.state for each in checks} == {State.OK}, checks


def test_what_was_not_given_is_not_checked_and_not_failed(release):
    states = {each.name: each.state for each in verify_files(release.certificate, release.key)}
    assert states.pop("model") is State.UNCHECKED and set(states.values()) == {State.OK}


@pytest.mark.parametrize("which", ["certificate", "envelope", "signature"])
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_changed_byte_is_noticed_and_named(which, data, release):
    file: Path = getattr(release, which)
    content = file.read_bytes()
    file.write_bytes(tampered(data, file))
    try:
        found = failed(release)
    finally:
        file.write_bytes(content)
    assert found
    if "format" not in found:  # else there is no certificate to speak of
        assert file.name in found["signature"], found


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_changed_byte_of_the_model_is_noticed_and_named(data, release):
    file = data.draw(st.sampled_from(sorted(path for path in release.model.rglob("*") if path.is_file())))
    content = file.read_bytes()
    file.write_bytes(tampered(data, file))
    try:
        found = failed(release, release.model)
    finally:
        file.write_bytes(content)
    assert found == {"model": f"model: changed: {file.relative_to(release.model)}"}


def test_a_signature_of_another_key_is_one_clear_line(release, tmp_path):
    public_pem(CERTIFICATE, tmp_path)
    found = failed(release, key=tmp_path / "certificate.pub.pem")
    assert list(found) == ["signature"]
    assert "certificate-cat-object.intoto.jsonl: signed by another key than" in found["signature"]
    assert "\n" not in found["signature"]


def test_a_certificate_that_somebody_else_drew_up_and_signed_is_refused(release, tmp_path):
    """All of it fits itself; only the key tells."""
    shutil.copytree(release.certificate.parent, tmp_path / "copy")
    file = write_certificate(issue(judged_findings(), 8), tmp_path / "copy")
    sign_certificate(file, tmp_path / "keys")
    own = verify_files(file, tmp_path / "keys" / "certificate.pub.pem")
    theirs = verify_files(file, release.key)
    assert State.FAILED not in {each.state for each in own}
    assert [each.name for each in theirs if each.state is State.FAILED] == ["signature"]


def test_without_a_key_it_is_not_valid(release, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    states = {each.name: each for each in verify_files(release.certificate)}
    assert states["signature"].state is State.FAILED and "--key" in states["signature"].found
    shutil.copytree(release.keys, Path(".expunge") / "keys")  # by default this working directory's own
    assert State.FAILED not in {each.state for each in verify_files(release.certificate)}


def test_earlier_formats_are_read_but_were_not_signed(release, tmp_path):
    states = {each.name: each for each in verify_files(OF_FORMAT_1, release.key)}
    assert states["format"].state is states["digest"].state is State.OK
    assert states["signature"].found == "not signed: certificates of format 1 were not"
    content = json.loads(release.certificate.read_text())
    content.pop("links")
    file = tmp_path / "certificate-cat-object.json"
    file.write_text(with_digest(content | {"format_version": 2}))  # as if it had never been signed
    assert [each.name for each in verify_files(file, release.key) if each.state is State.FAILED] == ["signature"]


def test_a_certificate_of_another_format_is_one_clear_line(release):
    content = json.loads(release.certificate.read_text())
    release.certificate.write_text(with_digest(content | {"format_version": 4}))
    (only,) = verify_files(release.certificate, release.key)
    assert only.state is State.FAILED and only.found.startswith(
        "not a certificate: format_version is 4, known are 1, 2"
    )
    with pytest.raises(ExpungeError, match="there is no file"):
        verify_files(release.certificate.with_name("gone.json"), release.key)


def test_another_models_folder_is_refused(release, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "model_index.json").write_text("{}")
    found = failed(release, tmp_path / "other")
    assert list(found) == ["model"] and "missing: " in found["model"] and "changed: model_index.json" in found["model"]
    assert "is no folder" in failed(release, tmp_path / "gone")["model"]


def test_a_model_is_not_trusted_without_the_certificates_signature(release):
    release.envelope.unlink()
    assert set(failed(release, release.model)) == {"signature", "model"}


def test_a_certificate_without_a_signed_model_is_valid_but_vouches_for_no_folder(release, tmp_path):
    file = write_certificate(issue(judged_findings()), tmp_path / "reports" / "expunge-zoo-7")
    sign_certificate(file, release.keys)
    assert load_certificate(file.read_text()).links.model_files is None
    states = {each.name: each.state for each in verify_files(file, release.key)}
    assert states["signature"] is State.OK and states["model"] is State.UNCHECKED
    with_model = {each.name: each.found for each in verify_files(file, release.key, release.model)}
    assert with_model["model"].startswith("the certificate names no signed files")
