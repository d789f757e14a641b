"""The certificate as a page that people print."""

from expunge.errors import ExpungeError
from expunge.metrics.quantities import QUANTITIES
from expunge.release.certificate import Certificate, Links, verify
from expunge.reports import wording
from expunge.reports.rendering import render
from expunge.takedown.life_cycle import Outcome


def render_certificate(certificate: Certificate) -> str:
    """The certificate as one printable HTML page that loads nothing.

    Raises:
        ExpungeError: it was changed after it was drawn up.
    """
    if not verify(certificate):
        raise ExpungeError(f"certificate of request {certificate.request.id}: digest does not fit, it is not rendered")
    known = [name for name in QUANTITIES if name in certificate.numbers]
    unknown = [name for name in certificate.numbers if name not in QUANTITIES]  # of a later version's, as they are
    return render(
        "certificate.html.j2",
        certificate=certificate,
        hashes=_hashes(certificate),
        passed=certificate.outcome is Outcome.FULFILLED,
        rows=[
            wording.quantity_row(name, certificate.numbers[name], certificate.frechet_features)
            for name in known + unknown
        ],
    )


def _hashes(certificate: Certificate) -> list[tuple[str, str]]:
    """What to check it by; its own digest comes last."""
    registered = f"{certificate.registered_model} {certificate.registered_version}"
    return [
        ("request", certificate.request_sha256),
        *((name.replace("_", " "), value) for name, value in certificate.hashes if value),
        ("method's settings", certificate.settings_sha256),
        ("code", certificate.code_commit),
        ("registered as", registered if certificate.registered_model else "not registered"),
        *(_links(certificate.links) if certificate.links else ()),
        ("this certificate", certificate.digest),
    ]


def _links(links: Links) -> list[tuple[str, str]]:
    """The model's files, and what came before."""
    before = f"version {links.base_version}" if links.base_version else "a model without a certificate"
    return [
        ("files of the model", links.model_files or "not signed"),
        ("made from", before),
        *((f"certificate of version {links.base_version}", each) for each in links.previous),
    ]
