"""The chain of certificates: each names those of the version that its model was made from."""

from pathlib import Path

from expunge.errors import ExpungeError
from expunge.release.certificate import Certificate, load_certificate
from expunge.takedown.model_name import check_name


def certificates_in(folder: Path) -> dict[str, Certificate]:
    """The certificates in a folder by file name, each read and its digest checked.

    Raises:
        ExpungeError: one of them is none, or was changed.
    """
    found = {}
    for file in sorted(folder.glob("certificate-*.json")):
        try:
            found[file.name] = load_certificate(file.read_text(encoding="utf-8", errors="replace"))
        except ExpungeError as error:
            raise ExpungeError(f"{folder.name}/{file.name}: {error}") from error
    return found


def digests_in(folder: Path) -> tuple[str, ...]:
    """The digests of a folder's certificates, in their order: what the next version's certificates name as previous."""
    return tuple(sorted(each.digest for each in certificates_in(folder).values()))


def folder_of(reports: Path, name: str, version: str | int) -> Path:
    """Where a version's report and certificates lie below a folder of reports."""
    return reports / f"{check_name(name)}-{version}"


def follow(certificate: Certificate, file: Path) -> tuple[bool, str]:
    """Check the chain from a certificate back as far as its folders go.

    Args:
        file: the certificate's; those of other versions lie beside its folder, as ``NAME-VERSION/certificate-*.json``.

    Returns:
        Whether the version before was found, and in a line how far the chain was followed.

    Raises:
        ExpungeError: certificates of a version before are missing, too many or changed; the message names them.
    """
    reports, current, followed = file.resolve().parent.parent, certificate, list[str]()
    while True:
        name, at, links = current.registered_model, current.registered_version, current.links
        done = f"followed to version {', '.join(followed)}; " if followed else ""
        if links is None:
            return bool(followed), f"{done}the certificate of version {at} does not say what came before"
        if links.base_version is None:
            return True, f"{done}version {at} was made from a model that has no certificate"
        if name is None or not (folder := folder_of(reports, name, links.base_version)).is_dir():
            where = f"no folder {name}-{links.base_version} beside this certificate's" if name else "no model's name"
            return bool(followed), f"{done}it cannot be followed to version {links.base_version}: there is {where}"
        if links.base_version in (at, *followed):
            raise ExpungeError(f"version {at} cannot have been made from version {links.base_version}")
        before = certificates_in(folder)
        _compare(current, before, folder.name)
        followed.append(links.base_version)
        if not before:
            return True, f"followed to version {', '.join(followed)}, which has no certificate"
        current = next(iter(before.values()))


def _compare(certificate: Certificate, before: dict[str, Certificate], where: str) -> None:
    """Check that the certificates of the version before are those that a certificate was built on."""
    previous = certificate.links.previous if certificate.links else ()
    if other := sorted(name for name, each in before.items() if each.digest not in previous):
        raise ExpungeError(f"{where}/{', '.join(other)}: not what was built on: its digest is not among the previous")
    if gone := sorted(set(previous) - {each.digest for each in before.values()}):
        raise ExpungeError(f"{where}: a certificate that was built on is missing, with digest {', '.join(gone)}")
    for name, each in before.items():
        if each.hashes.unlearned_model != certificate.hashes.base_model:
            raise ExpungeError(f"{where}/{name}: it is of another model than the one that was built on")
