"""The export for the DSA Transparency Database: its fields, its limits, and no personal data."""

import json
import re
from datetime import UTC, datetime

import pytest

from expunge.errors import ExpungeError
from expunge.release.statement_of_reasons import statement_of_reasons
from expunge.takedown.champion_log import Approval
from tests.release.made_release import issue, judged_findings

# What the database's API requires of a statement whose ground is its sender's terms (version 2).
REQUIRED = {
    "decision_visibility", "decision_visibility_other", "decision_ground", "incompatible_content_ground",
    "incompatible_content_explanation", "content_type", "category", "territorial_scope", "content_date",
    "application_date", "decision_facts", "source_type", "automated_detection", "automated_decision", "puid",
}  # fmt: skip
LIMITS = {"decision_visibility_other": 500, "incompatible_content_explanation": 2000, "decision_facts": 5000}


def test_it_has_every_required_field_and_leaves_to_the_operator_what_only_they_know():
    statement = statement_of_reasons(issue(judged_findings()))
    assert set(statement) == REQUIRED
    left = {name for name, value in statement.items() if value is None}
    assert left == {"incompatible_content_ground", "territorial_scope", "content_date"}
    assert all(name in statement_of_reasons.__doc__ for name in left)
    assert json.loads(json.dumps(statement)) == statement


def test_values_are_of_the_form_that_the_database_takes():
    certificate = issue(judged_findings())
    statement = statement_of_reasons(certificate)
    assert statement["application_date"] == "2026-11-23"
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,500}", statement["puid"]) and statement["puid"] == certificate.digest
    assert (statement["automated_detection"], statement["automated_decision"]) == ("No", "AUTOMATED_DECISION_FULLY")
    assert all(0 < len(statement[name]) <= most for name, most in LIMITS.items())
    long = statement_of_reasons(certificate.model_copy(update={"method": "m" * 9000}))
    assert len(long["decision_facts"]) == 5000


def test_the_facts_are_the_certificates_and_name_nobody():
    certificate = issue(judged_findings())
    facts = statement_of_reasons(certificate)["decision_facts"]
    for said in (
        "2026-11-20",
        "restricted_gradient",
        "97.8",
        "94.1",
        "version 7 of expunge-zoo",
        certificate.statement,
    ):
        assert said in facts
    asked = certificate.request.model_copy(
        update={"target": "Jane Doe", "requester": "J. Doe", "reason": "I am Jane Doe"}
    )
    assert "Doe" not in json.dumps(statement_of_reasons(certificate.model_copy(update={"request": asked})))


def test_what_a_person_approved_was_not_decided_by_a_machine_alone():
    by = Approval(name="an engineer", reason="looked at it", at=datetime(2026, 11, 24, tzinfo=UTC))
    statement = statement_of_reasons(issue(judged_findings()).model_copy(update={"approval": by}))
    assert statement["automated_decision"] == "AUTOMATED_DECISION_PARTIALLY"
    assert "approved it on 2026-11-24" in statement["decision_facts"] and "engineer" not in json.dumps(statement)


def test_what_was_not_fulfilled_restricted_nothing():
    with pytest.raises(ExpungeError, match="^certificate of request cat-object: it was not fulfilled"):
        statement_of_reasons(issue(judged_findings(drop_at_most=0.01)))
