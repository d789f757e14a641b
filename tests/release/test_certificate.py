"""The certificate: round trip, tampering, older and later formats, refusal without evidence, and its page."""

import json
import math
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from expunge.errors import ExpungeError
from expunge.metrics.numbers import Change, Interval
from expunge.metrics.quantities import QUANTITIES
from expunge.release.certificate import Certificate, Hashes, Links, load_certificate, sha256_of, verify
from expunge.release.certifying import certify, links_to
from expunge.release.model_version import ModelVersion
from expunge.reports.certificate_page import render_certificate
from expunge.takedown.champion_log import Approval
from expunge.takedown.life_cycle import Outcome

OF_FORMAT_1 = Path(__file__).with_name("certificate-of-format-1.json")
VERSION = ModelVersion(
    name="expunge-zoo",
    version=7,
    aliases=(),
    created_at=datetime(2026, 11, 23, tzinfo=UTC),
    tags={},
    run_id="run",
    digest="a9" * 32,
    registered_at=datetime(2026, 11, 23, tzinfo=UTC),
)
WHEN = datetime(2026, 11, 23, 14, 5, 6, 789, tzinfo=timezone(timedelta(hours=2)))
ATTACK = "<script>alert(1)</script>"


def issue(
    parts, passed=True, request=None, version=VERSION, issued_at=WHEN, links=None, approval=None, **found
) -> Certificate:
    findings = parts["findings"](**{"decision": parts["decision"](passed)} | found)
    return certify(request or parts["requests"]()[1], findings, version, issued_at, links, approval)


def with_digest(content: dict) -> str:
    """JSON of a certificate with this content and a digest that fits it."""
    content = {name: value for name, value in content.items() if name != "digest"}
    return json.dumps(content | {"digest": sha256_of(content)})


@pytest.mark.parametrize("passed", [True, False])
def test_round_trip_keeps_every_field(passed, parts):
    certificate = issue(parts, passed)
    again = load_certificate(certificate.model_dump_json(indent=2))
    assert again == certificate and verify(again)
    assert again.format_version == 3
    assert again.outcome is (Outcome.FULFILLED if passed else Outcome.FAILED)
    evaluation = parts["evaluation"]()
    for name, change in evaluation.targets[1].numbers.items():
        assert again.numbers[name] == change
    assert again.numbers["retain_accuracy"] == evaluation.rest["retain_accuracy"]
    assert "approximate" in again.statement


def test_world_judges_and_case_are_among_the_hashes(parts):
    hashes, case = issue(parts).hashes, parts["findings"]().case
    assert (hashes.case, hashes.judges) == (case.digest(), case.judges_digest)
    assert hashes.world == sha256_of(case.world.model_dump(mode="json"))


def test_digest_is_the_hash_of_the_rest_as_canonical_json(parts):
    content = json.loads(issue(parts).model_dump_json())
    digest = content.pop("digest")
    assert digest == sha256_of(content)


def test_one_of_format_1_still_loads_verifies_and_is_rendered(read_page):
    certificate = load_certificate(OF_FORMAT_1.read_text(encoding="utf-8"))
    assert certificate.format_version == 1 and verify(certificate) and certificate.hashes.world is None
    text = read_page(render_certificate(certificate)).text
    assert certificate.digest in text and "97.8" in text and "SHA-256" in text


def test_more_and_fewer_quantities_leave_a_certificate_valid(parts, read_page):
    content = json.loads(issue(parts).model_dump_json())
    number = content["numbers"]["retain_accuracy"]
    later = with_digest(content | {"numbers": content["numbers"] | {"beauty <b>": number}})
    page = read_page(render_certificate(load_certificate(later)))
    assert "beauty <b>" in page.text and "0.9412" in page.text and not page.all("b")
    fewer = load_certificate(with_digest(content | {"numbers": {"retain_accuracy": number}}))
    assert verify(fewer) and "UA by CLIP" not in render_certificate(fewer)


def test_a_quantity_that_is_taken_out_of_the_table_leaves_a_certificate_valid(parts, monkeypatch):
    written = issue(parts).model_dump_json()
    monkeypatch.delitem(QUANTITIES, "cross_domain")
    assert verify(load_certificate(written)) and "cross_domain" in render_certificate(load_certificate(written))


@pytest.mark.parametrize("other", [{"more": [1]}, {"target": "and/or"}, {"synonyms": ["http://x"]}, {"reason": None}])
def test_what_may_be_filed_can_change_without_making_a_certificate_invalid(other, read_page):
    content = json.loads(OF_FORMAT_1.read_text(encoding="utf-8"))
    content["request"] |= other
    content["request"] = {name: value for name, value in content["request"].items() if value is not None}
    content["request_sha256"] = sha256_of(content["request"])
    certificate = load_certificate(with_digest(content))
    assert verify(certificate) and certificate.digest in read_page(render_certificate(certificate)).text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "no JSON"),
        ("", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("[]", "format_version is None"),
        ("null", "format_version is None"),
        (
            '{"format_version": 4}',
            "format_version is 4, known are 1, 2 and 3. One of a later format needs",
        ),
        ('{"format_version": "2"}', "format_version is '2'"),
        ('{"format_version": true}', "format_version is True"),
        ('{"format_version": [2]}', r"format_version is \[2\]"),
        ('{"format_version": 2}', "request: Field required"),
    ],
)
def test_what_is_no_certificate_is_refused_in_one_line(text, words):
    with pytest.raises(ExpungeError, match=f"^not a certificate: .*{words}") as caught:
        load_certificate(text)
    assert len(str(caught.value).splitlines()) == 1 and len(str(caught.value)) < 300


def test_hashes_fit_the_format(parts):
    content = json.loads(issue(parts).model_dump_json())
    with pytest.raises(ExpungeError, match="^not a certificate: hashes: "):
        load_certificate(with_digest(content | {"format_version": 1}))
    without = {name: value for name, value in content["hashes"].items() if name != "world"}
    with pytest.raises(ExpungeError, match="^not a certificate: hashes: "):
        load_certificate(with_digest(content | {"hashes": without}))


def test_links_fit_the_format_and_name_the_version_before(parts):
    links = {"base_version": "6", "previous": ("1" * 64,), "model_files": "2" * 64}
    content = json.loads(issue(parts, links=Links(**links)).model_dump_json())
    assert load_certificate(with_digest(content)).links == Links(**links)
    without = {name: value for name, value in content.items() if name != "links"}
    assert load_certificate(with_digest(without | {"format_version": 2})).links is None
    for wrong in (
        content | {"format_version": 2},
        without,
        content | {"links": None},
        without | {"format_version": 2, "links": None},
        content | {"links": links | {"base_version": None}},
        content | {"links": links | {"base_version": "../6"}},
        content | {"links": links | {"previous": ["1"]}},
    ):
        with pytest.raises(ExpungeError, match="^not a certificate: links"):
            load_certificate(with_digest(wrong))


def test_a_certificate_names_the_version_that_the_run_started_from(parts):
    assert issue(parts).links == Links()
    findings = parts["findings"]()
    base = findings.lineage.base.model_copy(update={"version": 6})
    findings = findings.model_copy(update={"lineage": findings.lineage.model_copy(update={"base": base})})
    drawn_up = certify(parts["requests"]()[1], findings, VERSION, WHEN)
    assert drawn_up.links == links_to(findings) == Links(base_version="6")


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


@settings(deadline=None)
@given(data=st.data())
def test_any_changed_byte_is_noticed(data, parts):
    """A byte that changes changes the content, or else what is read is the same to the letter."""
    text = issue(parts).model_dump_json().encode()
    place = data.draw(st.integers(0, len(text) - 1))
    byte = data.draw(st.integers(32, 126).filter(lambda byte: byte != text[place]))
    changed = (text[:place] + bytes([byte]) + text[place + 1 :]).decode(errors="replace")
    try:
        load_certificate(changed)
    except ExpungeError:
        return
    assert json.loads(changed) == json.loads(text)


@settings(deadline=None)
@given(data=st.data())
def test_any_item_taken_out_or_put_in_is_noticed(data, parts):
    content = json.loads(issue(parts).model_dump_json())
    *way, last = data.draw(st.sampled_from(list(leaves(content))))
    place = content
    for key in way:
        place = place[key]
    if data.draw(st.booleans()):
        del place[last]
    elif isinstance(place, dict):
        place["another"] = None
    else:
        place.append("another")
    with pytest.raises(ExpungeError, match="changed|not a certificate"):
        load_certificate(json.dumps(content))


def undefined() -> Change:
    nothing = Interval(value=math.nan, low=math.nan, high=math.nan, samples=0)
    return Change(before=nothing, after=nothing, difference=nothing)


def without(evaluation, name):
    return evaluation.model_copy(update={"rest": {key: each for key, each in evaluation.rest.items() if key != name}})


def test_a_pass_without_evidence_is_refused(parts):
    evaluation, refused = parts["evaluation"](), parts["decision"](False)
    no_number = evaluation.model_copy(update={"rest": evaluation.rest | {"retain_accuracy": undefined()}})
    wrong = [
        ({"evaluation": evaluation.model_copy(update={"targets": evaluation.targets[:1]})}, "unlearning_accuracy"),
        ({"evaluation": no_number}, "retain_accuracy"),
        ({"evaluation": without(evaluation, "retain_accuracy")}, "retain_accuracy"),
        ({"decision": refused.model_copy(update={"passed": True})}, "not every condition"),
        ({"decision": parts["decision"]().model_copy(update={"conditions": ()})}, "not every condition"),
        ({"version": None}, "Register the model first"),
    ]
    for changed, message in wrong:
        with pytest.raises(ExpungeError, match=message):
            issue(parts, **changed)


def test_a_failure_without_numbers_is_still_certified(parts, read_page):
    evaluation = parts["evaluation"]()
    evaluation = evaluation.model_copy(
        update={"targets": (), "rest": evaluation.rest | {"retain_accuracy": undefined()}}
    )
    certificate = issue(parts, False, evaluation=evaluation, version=None)
    assert "unlearning_accuracy" not in certificate.numbers and certificate.numbers["retain_accuracy"] is None
    assert load_certificate(certificate.model_dump_json()) == certificate
    text = read_page(render_certificate(certificate)).text
    assert "not measured" in text and "not registered" in text and "The model in use was not changed" in text


def test_malformed_hashes_times_and_settings_are_refused(parts):
    with pytest.raises(ValidationError, match="base_model"):
        Hashes(**(issue(parts).hashes.model_dump() | {"base_model": "3f"}))
    with pytest.raises(ExpungeError, match="issued_at"):
        issue(parts, issued_at=datetime(2026, 11, 23))
    with pytest.raises(ExpungeError, match="cannot hash"):
        issue(parts, config={"unlearning": {"method": "any", "rate": math.nan}})


def test_settings_hash_ignores_order_but_not_values(parts):
    one, two, other = (
        issue(parts, config={"unlearning": how}).settings_sha256
        for how in ({"method": "m", "b": 2}, {"b": 2, "method": "m"}, {"method": "m", "b": 3})
    )
    assert one == two != other


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
        *certificate.hashes.model_dump().values(),
        "1d" * 20,
        *(condition.measured for condition in certificate.conditions),
    ):
        assert said in page.text
    levels = [int(name[1]) for name, _ in page.elements if name in ("h1", "h2", "h3")]
    assert levels[0] == 1 and set(levels[1:]) == {2}


def test_who_approved_it_is_on_record(parts, read_page):
    approval = Approval(name="an engineer", reason="looked <b>at it</b>", at=WHEN)
    certificate = issue(parts, approval=approval)
    assert load_certificate(certificate.model_dump_json()).approval == approval
    assert "Approved by an engineer" in read_page(render_certificate(certificate)).text
    assert not verify(certificate.model_copy(update={"approval": approval.model_copy(update={"name": "another"})}))
    assert issue(parts).approval is None


def test_the_page_names_the_models_files_and_what_came_before(parts, read_page):
    links = Links(base_version="6", previous=("1d" * 32, "2e" * 32), model_files="3f" * 32)
    text = read_page(render_certificate(issue(parts, links=links))).text
    assert "version 6" in text and all(each in text for each in (*links.previous, links.model_files))
    assert "a model without a certificate" in read_page(render_certificate(issue(parts))).text


def test_untrusted_text_stays_text(parts, read_page):
    request = parts["requests"]()[1].model_copy(
        update={
            "target": ATTACK,
            "reason": ATTACK,
            "requester": ATTACK,
            "filed_at": datetime(2026, 1, 1, tzinfo=UTC),
        }
    )
    page = read_page(render_certificate(issue(parts, request=request, config={"unlearning": {"method": ATTACK}})))
    assert not page.all("script") and page.text.count(ATTACK) >= 4
