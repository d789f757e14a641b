"""Keys: made once and for oneself alone, given by reference, refused when others can read them."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256K1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from expunge.errors import ExpungeError
from expunge.release.signing.keys import CERTIFICATE, MODEL, private_key_file, public_pem, read_public_key

KINDS = (CERTIFICATE, MODEL)


@pytest.fixture(autouse=True)
def _none_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in KINDS:
        monkeypatch.delenv(kind.variable, raising=False)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_key_is_made_once_and_for_its_owner_alone(kind, tmp_path):
    folder = tmp_path / "keys"
    before = os.umask(0)
    try:
        file = private_key_file(kind, folder)
    finally:
        os.umask(before)
    assert (mode(folder), mode(file)) == (0o700, 0o600)
    made = file.read_bytes()
    assert private_key_file(kind, folder).read_bytes() == made
    public = (folder / f"{kind.name}.pub.pem").read_text()
    assert public == public_pem(kind, folder) and "PRIVATE" not in public
    read_public_key(kind, public.encode(), "it")
    assert sorted(path.name for path in folder.iterdir()) == [f"{kind.name}.pem", f"{kind.name}.pub.pem"]


def test_those_who_make_it_at_once_use_the_same(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: public_pem(CERTIFICATE, tmp_path / "keys"), range(8)))
    assert len(found) == 1


@pytest.mark.parametrize("others", [0o640, 0o604, 0o620, 0o611])
def test_a_key_that_others_can_read_is_refused(others, tmp_path):
    file = private_key_file(CERTIFICATE, tmp_path)
    file.chmod(others)
    with pytest.raises(ExpungeError, match=rf"others may read .*certificate\.pem \(mode 0{others:o}\)") as caught:
        private_key_file(CERTIFICATE, tmp_path)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_key_may_be_given_by_reference(kind, tmp_path, monkeypatch):
    elsewhere = private_key_file(kind, tmp_path / "elsewhere")
    monkeypatch.setenv(kind.variable, str(elsewhere))
    own = tmp_path / "own"
    assert private_key_file(kind, own) == elsewhere
    # The private key stays where it is; the public one lies where verifying looks for it.
    assert [path.name for path in own.iterdir()] == [f"{kind.name}.pub.pem"]
    assert (own / f"{kind.name}.pub.pem").read_text() == public_pem(kind, tmp_path / "elsewhere")


def test_what_is_no_such_key_is_refused_in_a_line_without_its_content(tmp_path, monkeypatch):
    def written(key, encryption=None) -> bytes:
        return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())

    ed25519, other_curve = Ed25519PrivateKey.generate(), generate_private_key(SECP256K1())
    wrong = [
        (CERTIFICATE, b"secret, but no key", "is no private key in PEM without a password"),
        (CERTIFICATE, written(ed25519, BestAvailableEncryption(b"word")), "without a password"),
        (CERTIFICATE, written(other_curve), "holds no private ed25519 key"),
        (MODEL, written(ed25519), r"holds no private elliptic-curve key \(P-256, P-384 or P-521\)"),
        (MODEL, written(other_curve), "holds no private elliptic-curve key"),
    ]
    file = tmp_path / "given.pem"
    for kind, content, words in wrong:
        file.touch(mode=0o600)
        file.write_bytes(content)
        monkeypatch.setenv(kind.variable, str(file))
        with pytest.raises(ExpungeError, match=f"^{kind.variable}: .*{words}") as caught:
            private_key_file(kind, tmp_path / "keys")
        assert len(str(caught.value).splitlines()) == 1 and "secret" not in str(caught.value)
    monkeypatch.setenv(CERTIFICATE.variable, str(tmp_path / "gone.pem"))
    with pytest.raises(ExpungeError, match="^EXPUNGE_SIGNING_KEY: there is no file .*gone.pem"):
        private_key_file(CERTIFICATE, tmp_path / "keys")
    assert not (tmp_path / "keys").exists()


def test_what_is_no_public_key_is_refused(tmp_path):
    private = private_key_file(CERTIFICATE, tmp_path).read_bytes()
    for pem, words in ((private, "no public key in PEM"), (public_pem(MODEL, tmp_path).encode(), "no public ed25519")):
        with pytest.raises(ExpungeError, match=f"^it is {words}.*certificate.pub.pem"):
            read_public_key(CERTIFICATE, pem, "it")
