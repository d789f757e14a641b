"""The certificate as a page that people print."""

from expunge.errors import ExpungeError
from expunge.metrics.quantities import QUANTITIES
from expunge.release.certificate import Certificate, verify
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
    return render(
        "certificate.html.j2",
        certificate=certificate,
        passed=certificate.outcome is Outcome.FULFILLED,
        rows=[
            wording.quantity_row(name, certificate.numbers[name]) for name in QUANTITIES if name in certificate.numbers
        ],
    )
