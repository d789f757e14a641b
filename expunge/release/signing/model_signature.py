"""The signature of a model's folder, by OpenSSF Model Signing: every file with its SHA-256, under one signature.

``model_signing verify key FOLDER --signature FILE --public_key PEM`` checks the same without Expunge.
"""

import base64
import json
import tempfile
from pathlib import Path

from expunge.errors import ExpungeError
from expunge.release.signing.keys import KEYS, MODEL, private_key_file, read_public_key

# Beside the certificates, never in the folder: the folder's files are what is signed.
SIGNATURE = "model.sig"


def sign_model(folder: Path, signature: Path, keys: Path = KEYS) -> str:
    """Sign every file of a model's folder, hidden ones too, with the key of elliptic curves.

    Args:
        folder: as it is handed out; a later change to it breaks the signature.
        signature: the file to write, outside the folder.
        keys: where keys are kept.

    Returns:
        SHA-256 of all files together, in hexadecimal: ``files_digest`` of the signature.

    Raises:
        ExpungeError: there is no such folder, it holds a link, the signature would lie in it, or the key is none.
    """
    from model_signing import signing

    if signature.resolve().is_relative_to(folder.resolve()):
        raise ExpungeError(f"signature: {signature} lies in the folder that it signs. Write it beside the folder.")
    _check_folder(folder)
    config = signing.Config().use_elliptic_key_signer(private_key=private_key_file(MODEL, keys))
    config.set_hashing_config(_hashing()).sign(folder, signature)
    return files_digest(signature)


def files_digest(signature: Path) -> str:
    """SHA-256 of all of a model's files together, in hexadecimal, as a signature states it.

    Raises:
        ExpungeError: it is no signature of a model.
    """
    return _statement(signature)["subject"][0]["digest"]["sha256"]


def check_model(folder: Path, signature: Path, public_pem: str) -> None:
    """Check that a model's files are those that were signed, and by whom.

    Args:
        public_pem: the signer's public key of elliptic curves in PEM.

    Raises:
        ExpungeError: a file is changed, missing or too many (each is named), or the signature is of another key.
    """
    from cryptography.exceptions import InvalidSignature
    from model_signing import verifying

    _check_folder(folder)
    read_public_key(MODEL, public_pem.encode(), "the model's key")
    _statement(signature)
    with tempfile.NamedTemporaryFile(suffix=".pem") as key:  # the library reads keys from files alone
        key.write(public_pem.encode())
        key.flush()
        config = verifying.Config().use_elliptic_key_verifier(public_key=key.name)
        try:
            config.set_hashing_config(_hashing()).verify(folder, signature)
        except (ValueError, KeyError, TypeError, InvalidSignature) as error:
            said = _differences(folder, signature) or f"{signature.name} is of another key, or was changed"
            raise ExpungeError(f"{folder.name}: {said}") from error


def _differences(folder: Path, signature: Path) -> str:
    """How a folder's files differ from those that a signature names; empty if they do not."""
    signed = {each["name"]: each["digest"] for each in _statement(signature)["predicate"]["resources"]}
    found = {each.identifier: each.digest.digest_hex for each in _hashing().hash(folder).resource_descriptors()}
    told = {
        "not signed": sorted(set(found) - set(signed)),
        "missing": sorted(set(signed) - set(found)),
        "changed": sorted(name for name in set(found) & set(signed) if found[name] != signed[name]),
    }
    return "; ".join(f"{what}: {', '.join(names)}" for what, names in told.items() if names)


def _hashing():
    """Every file counts; by default the library passes over those of Git."""
    from model_signing import hashing

    return hashing.Config().set_ignored_paths(paths=(), ignore_git_paths=False)


def _statement(signature: Path) -> dict:
    """What a signature says, not verified."""
    try:
        bundle = json.loads(signature.read_text(encoding="utf-8"))
        statement = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"], validate=True))
        if not (isinstance(statement["subject"][0]["digest"]["sha256"], str) and statement["predicate"]["resources"]):
            raise ValueError("it names no file")
        [(each["name"], each["digest"]) for each in statement["predicate"]["resources"]]
    except FileNotFoundError as error:
        raise ExpungeError(f"there is no signature {signature}. Get it from who signed the model.") from error
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise ExpungeError(f"{signature.name} is no signature of a model, or was changed") from error
    return statement


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise ExpungeError(f"model: {folder} is no folder. Give the model's folder.")
    if links := sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_symlink()):
        raise ExpungeError(f"{folder.name}: {', '.join(links)} is a link, and links are not signed. Copy the files.")
