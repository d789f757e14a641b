"""A certificate's outcome in the shape of a statement of reasons, as the EU's DSA Transparency Database takes it.

Field names, allowed values and limits are those of its API, version 2 (transparency.dsa.ec.europa.eu). A request with
nothing to remove has no certificate and makes no statement: nothing was restricted.
"""

from typing import Any

from expunge.errors import ExpungeError
from expunge.metrics.quantities import QUANTITIES
from expunge.release.certificate import Certificate
from expunge.takedown.life_cycle import Outcome

LONGEST_FACTS = 5000  # characters
MEASURED = ("unlearning_accuracy", "unlearning_accuracy_clip", "retain_accuracy")


def statement_of_reasons(certificate: Certificate) -> dict[str, Any]:
    """What was decided on a request, why, when and how, as the body of ``POST statement``.

    It names the request by its certificate's digest and leaves out target, reason and requester: the database takes no
    personal data, and each of them may be a person's name.

    Left to the operator are the fields that are null and must be filled before sending:

    - ``incompatible_content_ground``: which of the operator's terms the content is held against;
    - ``territorial_scope``: the states (two letters each) in which the model was offered;
    - ``content_date``: since when the model was offered that drew it (YYYY-MM-DD).

    And what the operator may know better than the certificate:

    - ``decision_ground``: Expunge acts on a request and judges no law, so it says that the content is incompatible with
      terms. Where a law is the ground it is ``DECISION_GROUND_ILLEGAL_CONTENT``, with ``illegal_content_legal_ground``
      and ``illegal_content_explanation`` instead of the two ``incompatible_`` fields;
    - ``category``, which follows from the ground, and ``category_specification``;
    - ``source_type``: ``SOURCE_ARTICLE_16`` or ``SOURCE_TRUSTED_FLAGGER`` if the request came as such a notice;
    - ``application_date``: the certificate's; put the day on which the model went into service if that is another.

    Raises:
        ExpungeError: the request was not fulfilled, so nothing was restricted.
    """
    if certificate.outcome is not Outcome.FULFILLED:
        raise ExpungeError(
            f"certificate of request {certificate.request.id}: it was not fulfilled, so nothing was restricted and "
            "there are no reasons to state"
        )
    return {
        "decision_visibility": ["DECISION_VISIBILITY_OTHER"],
        "decision_visibility_other": "The weights of a text-to-image model were changed to make it stop drawing what "
        "the request names.",
        "decision_ground": "DECISION_GROUND_INCOMPATIBLE_CONTENT",
        "incompatible_content_ground": None,
        "incompatible_content_explanation": f"A request asked that the model no longer draws the {_kind(certificate)} "
        "that it names, and was accepted.",
        "content_type": ["CONTENT_TYPE_SYNTHETIC_MEDIA"],
        "category": "STATEMENT_CATEGORY_OTHER_VIOLATION_TC",
        "territorial_scope": None,
        "content_date": None,
        "application_date": f"{certificate.issued_at:%Y-%m-%d}",
        "decision_facts": _facts(certificate)[:LONGEST_FACTS],
        "source_type": "SOURCE_TYPE_OTHER_NOTIFICATION",
        "automated_detection": "No",
        "automated_decision": f"AUTOMATED_DECISION_{'PARTIALLY' if certificate.approval else 'FULLY'}",
        "puid": certificate.digest,
    }


def _kind(certificate: Certificate) -> str:
    kind = certificate.request.kind.value
    return "pictures" if kind == "images" else kind


def _facts(certificate: Certificate) -> str:
    """What was asked, done and measured, in sentences."""
    found = []
    for name in MEASURED:
        if change := certificate.numbers.get(name):
            quantity = QUANTITIES[name]
            before, after = quantity.unit.value(change.before.value), quantity.unit.value(change.after.value)
            found.append(
                f"{quantity.label} ({quantity.note}): {before} before, {after} after, of {change.after.samples}"
            )
    registered = f"It is version {certificate.registered_version} of {certificate.registered_model}."
    if certificate.approval:  # whoever it was is no business of a public database
        registered += f" A person approved it on {certificate.approval.at:%Y-%m-%d}."
    return " ".join(
        (
            f"The request was filed on {certificate.request.filed_at:%Y-%m-%d}. The model was changed by the method "
            f"{certificate.method} and held against {len(certificate.conditions)} conditions, all of which are met.",
            f"{registered} Measured: {'; '.join(found)}.",
            certificate.statement,
        )
    )
