"""The certificate: round trip, tampering, refusal without evidence, and its page."""

import json
import math
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from expunge.errors import ExpungeError
from expunge.metrics.numbers import Change, Interval
from expunge.release.certificate import Certificate, Hashes, certify, load_certificate, sha256_of, verify
from expunge.reports.certificate_page import render_certificate
from expunge.takedown.life_cycle import Outcome

HASHES = Hashes(
    base_model="3f" * 32,
    unlearned_model="a9" * 32,
    forget_set="07" * 32,
    retain_set="5c" * 32,
    config="b2" * 32,
)
ATTACK = "<script>alert(1)</script>"


def issue(parts, passed: bool = True, **changed) -> Certificate:
    arguments = {
        "request": parts["requests"]()[1],
        "evaluation": parts["evaluation"](),
        "decision": parts["decision"](passed),
        "method": "restricted_gradient",
        "settings": {"steps": 120, "balance": 5.0},
        "hashes": HASHES,
        "code_commit": "1d" * 20,
        "issued_at": datetime(2026, 11, 23, 14, 5, 6, 789, tzinfo=timezone(timedelta(hours=2))),
        "registered_model": "expunge-zoo",
        "registered_version": "7",
    }
    return certify(**(arguments | changed))


@pytest.mark.parametrize("passed", [True, False])
def test_round_trip_keeps_every_field(passed, parts):
    certificate = issue(parts, passed)
    again = load_certificate(certificate.model_dump_json(indent=2))
    assert again == certificate and verify(again)
    assert again.outcome is (Outcome.FULFILLED if passed else Outcome.FAILED)
    assert again.numbers["unlearning_accuracy"] == parts["evaluation"]().targets[1].numbers["unlearning_accuracy"]
    assert again.numbers["in_domain"] == parts["evaluation"]().targets[1].numbers["in_domain"]
    assert again.numbers["retain_accuracy"] == parts["evaluation"]().rest["retain_accuracy"]
    assert "approximate" in again.statement


def test_digest_is_the_hash_of_the_rest_as_canonical_json(parts):
    content = json.loads(issue(parts).model_dump_json())
    digest = content.pop("digest")
    assert digest == sha256_of(content)


def leaves(content, path=()):
    """The path of every value in nested JSON."""
    if isinstance(content, dict | list):
        items = content.items() if isinstance(content, dict) else enumerate(content)
        for key, value in items:
            yield from leaves(value, (*path, key))
    else:
        yield path


def changed_value(value):
    if isinstance(value, bool) or value is None:
        return "other" if value is None else not value
    if isinstance(value, int | float):
        return value + 1
    return value[:-1] + ("0" if value[-1:] != "0" else "1")


@settings(deadline=None)
@given(data=st.data())
def test_any_changed_value_is_noticed(data, parts):
    content = json.loads(issue(parts).model_dump_json())
    *way, last = data.draw(st.sampled_from(list(leaves(content))))
    place = content
    for key in way:
        place = place[key]
    place[last] = changed_value(place[last])
    with pytest.raises(ExpungeError, match="changed|not a certificate"):
        load_certificate(json.dumps(content))


def test_a_changed_certificate_is_not_rendered(parts):
    forged = issue(parts, False).model_copy(update={"outcome": Outcome.FULFILLED})
    assert not verify(forged)
    with pytest.raises(ExpungeError, match="digest does not fit"):
        render_certificate(forged)


def test_a_request_swapped_under_a_new_digest_is_noticed(parts):
    certificate = issue(parts)
    content = certificate.model_copy(update={"request": parts["requests"]()[0]}).model_dump(
        mode="json", exclude={"digest"}
    )
    assert not verify(Certificate.model_validate(content | {"digest": sha256_of(content)}))


def test_unknown_format_version_is_refused(parts):
    content = json.loads(issue(parts).model_dump_json())
    with pytest.raises(ExpungeError, match="format_version"):
        load_certificate(json.dumps(content | {"format_version": 2}))
    with pytest.raises(ExpungeError, match="not a certificate"):
        load_certificate("{")


def undefined() -> Change:
    nothing = Interval(value=math.nan, low=math.nan, high=math.nan, samples=0)
    return Change(before=nothing, after=nothing, difference=nothing)


def test_a_pass_without_evidence_is_refused(parts):
    evaluation = parts["evaluation"]()
    wrong = [
        (
            {"evaluation": evaluation.model_copy(update={"targets": evaluation.targets[:1]})},
            "unlearning_accuracy",
        ),
        ({"evaluation": evaluation.model_copy(update={"rest": {"retain_accuracy": undefined()}})}, "retain_accuracy"),
        ({"decision": parts["decision"](False).model_copy(update={"passed": True})}, "not every condition"),
        ({"decision": parts["decision"]().model_copy(update={"conditions": ()})}, "not every condition"),
        ({"registered_version": None}, "Register the model first"),
    ]
    for changed, message in wrong:
        with pytest.raises(ExpungeError, match=message):
            issue(parts, **changed)


def test_any_known_names_do_and_others_do_not(parts):
    """A quantity that is added to the table leaves certificates issued before it valid."""
    evaluation = parts["evaluation"]()
    fewer = evaluation.model_copy(update={"rest": {"retain_accuracy": evaluation.rest["retain_accuracy"]}})
    certificate = issue(parts, evaluation=fewer)
    assert "frechet_distance" not in certificate.numbers
    assert load_certificate(certificate.model_dump_json()) == certificate
    content = json.loads(certificate.model_dump_json())
    content["numbers"]["prettiness"] = None
    with pytest.raises(ExpungeError, match="prettiness: no such quantity"):
        load_certificate(json.dumps(content))


def test_a_failure_without_numbers_is_still_certified(parts, read_page):
    evaluation = parts["evaluation"]().model_copy(update={"targets": (), "rest": {"retain_accuracy": undefined()}})
    certificate = issue(parts, False, evaluation=evaluation, registered_model=None, registered_version=None)
    assert certificate.numbers == {"retain_accuracy": None}
    assert load_certificate(certificate.model_dump_json()) == certificate
    text = read_page(render_certificate(certificate)).text
    assert "not measured" in text and "not registered" in text and "The model in use was not changed" in text


def test_malformed_hashes_times_and_settings_are_refused(parts):
    with pytest.raises(ValidationError, match="base_model"):
        Hashes(**(HASHES.model_dump() | {"base_model": "3f"}))
    with pytest.raises(ExpungeError, match="issued_at"):
        issue(parts, issued_at=datetime(2026, 11, 23))
    with pytest.raises(ExpungeError, match="cannot hash"):
        issue(parts, settings={"rate": math.nan})


def test_settings_hash_ignores_order_but_not_values(parts):
    one, two = issue(parts, settings={"a": 1, "b": 2}), issue(parts, settings={"b": 2, "a": 1})
    assert one.settings_sha256 == two.settings_sha256 != issue(parts, settings={"a": 1, "b": 3}).settings_sha256


def test_the_page_says_everything_and_loads_nothing(parts, read_page):
    certificate = issue(parts)
    html = render_certificate(certificate)
    page = read_page(html)
    assert "//" not in html.replace("</", "") and not page.all("script") and not page.all("img")
    for said in (
        "Certificate of unlearning",
        "object “cat”",
        "kitty, kitten",
        "restricted_gradient",
        "expunge-zoo, version 7",
        "97.8\u00a0%",
        "94.1\u00a0%",
        certificate.statement,
        certificate.digest,
        certificate.request_sha256,
        certificate.settings_sha256,
        "23 November 2026, 14:05",
        *HASHES.model_dump().values(),
        "1d" * 20,
        *(condition.measured for condition in certificate.conditions),
    ):
        assert said in page.text
    levels = [int(name[1]) for name, _ in page.elements if name in ("h1", "h2", "h3")]
    assert levels[0] == 1 and set(levels[1:]) == {2}


def test_untrusted_text_stays_text(parts, read_page):
    request = parts["requests"]()[1].model_copy(
        update={
            "target": ATTACK,
            "reason": ATTACK,
            "requester": ATTACK,
            "filed_at": datetime(2026, 1, 1, tzinfo=UTC),
        }
    )
    page = read_page(render_certificate(issue(parts, request=request, method=ATTACK)))
    assert not page.all("script") and page.text.count(ATTACK) >= 4
