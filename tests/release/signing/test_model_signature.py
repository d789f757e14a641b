"""The signature of a model's folder: every file counts, whatever the folder is called."""

import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from expunge.errors import ExpungeError
from expunge.release.signing.keys import MODEL, public_pem
from expunge.release.signing.model_signature import check_model, files_digest, sign_model


def check(release, folder: Path | None = None) -> None:
    check_model(folder or release.model, release.signature, release.model_key.read_text())


def test_a_folder_is_as_it_was_signed_under_any_name(release, tmp_path):
    check(release)
    check(release, Path(shutil.copytree(release.model, tmp_path / "elsewhere")))
    assert release.signature.parent != release.model


def test_the_digest_is_of_names_and_contents(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "a").write_text("1")
    first = sign_model(tmp_path / "model", tmp_path / "first.sig", tmp_path / "keys")
    again = sign_model(tmp_path / "model", tmp_path / "again.sig", tmp_path / "keys")
    assert first == again == files_digest(tmp_path / "first.sig")
    (tmp_path / "model" / "a").write_text("2")
    assert sign_model(tmp_path / "model", tmp_path / "other.sig", tmp_path / "keys") != first


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_changed_byte_of_any_file_is_noticed_and_named(data, release):
    file = data.draw(st.sampled_from(sorted(path for path in release.model.rglob("*") if path.is_file())))
    content = file.read_bytes()
    place = data.draw(st.integers(0, len(content) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda byte: byte != content[place]))
    file.write_bytes(content[:place] + bytes([byte]) + content[place + 1 :])
    try:
        with pytest.raises(ExpungeError, match="changed: ") as caught:
            check(release)
        assert str(caught.value).endswith(f"changed: {file.relative_to(release.model)}")
    finally:
        file.write_bytes(content)


@pytest.mark.parametrize("name", ["more.txt", ".gitignore", ".git/config", "unet/.hidden", ".gitattributes"])
def test_a_file_more_is_named(name, release):
    (release.model / name).parent.mkdir(exist_ok=True)
    (release.model / name).write_text("")
    with pytest.raises(ExpungeError, match=f"^model: not signed: {name}$"):
        check(release)


def test_a_file_less_is_named_and_all_is_said_at_once(release):
    (release.model / "model_index.json").unlink()
    (release.model / "unet" / "config.json").write_text("{}")
    (release.model / "b").write_text("")
    words = "^model: not signed: b; missing: model_index.json; changed: unet/config.json$"
    with pytest.raises(ExpungeError, match=words):
        check(release)


def test_a_link_is_refused(release, tmp_path):
    (release.model / "link").symlink_to(release.model / "model_index.json")
    with pytest.raises(ExpungeError, match="link is a link"):
        check(release)
    with pytest.raises(ExpungeError, match="link is a link"):
        sign_model(release.model, tmp_path / "model.sig", tmp_path / "keys")


def test_another_key_is_refused(release, tmp_path):
    with pytest.raises(ExpungeError, match="^model: model.sig is of another key, or was changed$"):
        check_model(release.model, release.signature, public_pem(MODEL, tmp_path))


def test_what_is_no_signature_or_no_folder_is_refused(release, tmp_path):
    for content in ("", "{", "[]", "{}", '{"dsseEnvelope": {"payload": "e30="}}', '{"dsseEnvelope": {"payload": "?"}}'):
        release.signature.write_text(content)
        with pytest.raises(ExpungeError, match="^model.sig is no signature of a model, or was changed$"):
            check(release)
    release.signature.unlink()
    with pytest.raises(ExpungeError, match="there is no signature .*model.sig"):
        check(release)
    with pytest.raises(ExpungeError, match="is no folder"):
        check(release, tmp_path / "gone")
    with pytest.raises(ExpungeError, match="lies in the folder that it signs"):
        sign_model(release.model, release.model / "model.sig", tmp_path / "keys")
