"""The keys that sign: made on first use below ``.expunge/keys``, or given by reference as a path in the environment."""

import os
import stat
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from expunge.errors import ExpungeError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes

KEYS = Path(".expunge") / "keys"


@dataclass(frozen=True)
class KeyKind:
    """One of the two keys.

    Attributes:
        name: of its files: ``NAME.pem`` holds the private key, ``NAME.pub.pem`` the public one.
        variable: of the environment; the path of a private key in PEM that is used instead.
        told: what kind of key it is, for messages.
    """

    name: str
    variable: str
    told: str


CERTIFICATE = KeyKind("certificate", "EXPUNGE_SIGNING_KEY", "ed25519 key")
# OpenSSF Model Signing takes elliptic curves of NIST alone, no ed25519: so there are two keys.
MODEL = KeyKind("model", "EXPUNGE_MODEL_SIGNING_KEY", "elliptic-curve key (P-256, P-384 or P-521)")


def private_key_file(kind: KeyKind, folder: Path = KEYS) -> Path:
    """The private key's file: the one that the environment names, else the one in ``folder``, made on first use.

    A key that is made gets mode 0600 in a folder of mode 0700. The public key of the one in use lies in that folder.

    Raises:
        ExpungeError: the file is missing where it was named, can be read by others, or holds no key of the kind.
    """
    if given := os.environ.get(kind.variable, ""):
        file, where = Path(given).expanduser(), kind.variable
    else:
        file, where = folder / f"{kind.name}.pem", "signing key"
        if not file.exists():
            _make(kind, folder)
    if not file.is_file():
        raise ExpungeError(f"{where}: there is no file {file}. Name a private key in PEM.")
    mode = stat.S_IMODE(file.stat().st_mode)
    if mode & 0o077:
        raise ExpungeError(
            f"{where}: others may read {file} (mode {mode:04o}), so it is not used. Run: chmod 600 {file}"
        )
    _publish(kind, _read_private(kind, file, where), folder)
    return file


def private_key(kind: KeyKind, folder: Path = KEYS) -> "PrivateKeyTypes":
    """The private key itself; raises as ``private_key_file`` does."""
    return _read_private(kind, private_key_file(kind, folder), kind.variable)


def public_pem(kind: KeyKind, folder: Path = KEYS) -> str:
    """The public key in PEM that belongs to the private key in use; raises as ``private_key_file`` does."""
    return _public_pem(private_key(kind, folder))


def read_public_key(kind: KeyKind, pem: bytes, where: str) -> "PublicKeyTypes":
    """A public key of the kind.

    Args:
        where: what the error calls it.

    Raises:
        ExpungeError: it is none.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ExpungeError(f"{where} is no public key in PEM. Give the {kind.name}.pub.pem of who signed.") from error
    if not _fits(kind, key):
        raise ExpungeError(f"{where} is no public {kind.told}. Give the {kind.name}.pub.pem of who signed.")
    return key


def _make(kind: KeyKind, folder: Path) -> None:
    """Make a key pair; of two processes that do so at once both use the first one's."""
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    _make_folder(folder)
    key = Ed25519PrivateKey.generate() if kind is CERTIFICATE else generate_private_key(SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with tempfile.NamedTemporaryFile(dir=folder) as half:  # of mode 0600
        half.write(pem)
        half.flush()
        os.fsync(half.fileno())
        with suppress(FileExistsError):
            os.link(half.name, folder / f"{kind.name}.pem")


def _make_folder(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)  # whatever an earlier hand gave


def _publish(kind: KeyKind, key: Any, folder: Path) -> None:
    """Keep the public key of the key in use where ``expunge certificate verify`` looks for it."""
    file, pem = folder / f"{kind.name}.pub.pem", _public_pem(key)
    if not file.exists() or file.read_text(encoding="ascii", errors="replace") != pem:
        _make_folder(folder)
        file.write_text(pem, encoding="ascii")


def _read_private(kind: KeyKind, file: Path, where: str) -> "PrivateKeyTypes":
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(file.read_bytes(), password=None)
    except (TypeError, ValueError, UnsupportedAlgorithm) as error:  # TypeError: it wants a password
        raise ExpungeError(f"{where}: {file} is no private key in PEM without a password.") from error
    if not _fits(kind, key):
        raise ExpungeError(f"{where}: {file} holds no private {kind.told}.")
    return key


def _fits(kind: KeyKind, key: Any) -> bool:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519

    if kind is CERTIFICATE:
        return isinstance(key, ed25519.Ed25519PrivateKey | ed25519.Ed25519PublicKey)
    curve = getattr(key, "curve", None)
    return isinstance(curve, ec.SECP256R1 | ec.SECP384R1 | ec.SECP521R1)


def _public_pem(key: Any) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")
