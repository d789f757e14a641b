"""Whether a certificate's conditions follow from its numbers: the real gate's do, changed ones do not."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expunge.errors import ExpungeError
from expunge.evaluation.gate import GateThresholds, judge
from expunge.release.agreement import JUDGED, check_agreement
from expunge.release.certificate import Certificate, load_certificate
from expunge.takedown.life_cycle import Outcome
from tests.release.made_release import issue, judged_findings
from tests.release.test_certificate import with_digest
from tests.reports.made_facts import change


@pytest.fixture(scope="module")
def passed() -> Certificate:
    return issue(judged_findings())


def changed(certificate: Certificate, place: int, **fields) -> Certificate:
    """With fields of one condition changed."""
    conditions = list(certificate.conditions)
    conditions[place] = conditions[place].model_copy(update=fields)
    return certificate.model_copy(update={"conditions": tuple(conditions)})


def place_of(certificate: Certificate, name: str) -> int:
    return [each.name for each in certificate.conditions].index(name)


def test_what_the_gate_wrote_follows(passed):
    assert check_agreement(passed) == len(JUDGED) - 1 == 9  # of proper pictures one condition, after or after / before
    assert check_agreement(issue(judged_findings(drop_at_most=0.01))) == 9


@settings(deadline=None, max_examples=100)
@given(
    before=st.floats(0, 1),
    after=st.floats(0, 1),
    half=st.floats(0, 0.3),
    distance=st.floats(0, 5),
    further=st.floats(0, 9),
    kind=st.sampled_from(["object", "images"]),
)
def test_whatever_was_measured_the_real_gates_conditions_follow(before, after, half, distance, further, kind):
    findings = judged_findings()
    measured = change(before, after, half, 144)
    ours = {
        name: measured for name in ("unlearning_accuracy", "unlearning_accuracy_clip", "content_kept", "proper_picture")
    }
    rest = {name: measured for name in ("retain_accuracy", "alignment_train", "alignment_held_out")}
    evaluation = findings.evaluation.model_copy(
        update={
            "targets": tuple(
                each.model_copy(update={"numbers": ours, "kind": kind}) for each in findings.evaluation.targets
            ),
            "rest": rest | {"frechet_distance": change(distance, further, half, 864, most=100)},
        }
    )
    decision = judge(evaluation, GateThresholds())
    check_agreement(issue(findings.model_copy(update={"evaluation": evaluation, "decision": decision})))


@pytest.mark.parametrize(
    "name", ["retain accuracy drop", "alignment, train wordings drop", "alignment, held-out wordings drop",
             "Fréchet distance ratio"]
)  # fmt: skip
def test_a_condition_that_says_other_than_the_numbers_is_named(name, passed):
    place = place_of(passed, name)
    for fields, words in (
        ({"measured": "0.000 [-0.001, 0.001]"}, r"0.000 \[-0.001, 0.001\] is not what was measured"),
        ({"rule": "high end ≤ 0.0001"}, "passed, which does not follow"),
        ({"rule": "as it should be"}, "no limit can be read from its rule"),
    ):
        with pytest.raises(ExpungeError, match=f"^{name}: {words}"):
            check_agreement(changed(passed, place, **fields))


def test_a_verdict_turned_round_is_named():
    failed = issue(judged_findings(drop_at_most=0.01))
    place = place_of(failed, "retain accuracy drop")
    turned = changed(failed, place, passed=True)
    with pytest.raises(ExpungeError, match="^outcome: failed, but the conditions of the gate say otherwise"):
        check_agreement(turned)
    with pytest.raises(ExpungeError, match="^retain accuracy drop: passed, which does not follow"):
        check_agreement(turned.model_copy(update={"outcome": Outcome.FULFILLED}))
    with pytest.raises(ExpungeError, match="^outcome: fulfilled"):
        check_agreement(failed.model_copy(update={"outcome": Outcome.FULFILLED}))
    with pytest.raises(ExpungeError, match="^outcome: fulfilled"):
        check_agreement(failed.model_copy(update={"outcome": Outcome.FULFILLED, "conditions": ()}))


def test_of_several_targets_one_has_to_follow_from_the_requests_own_number(passed):
    cat, blob = (place_of(passed, f"unlearning accuracy: {name}") for name in ("cat", "blob"))
    other = "0.991 [0.990, 0.992], 144 pictures"
    check_agreement(changed(passed, blob, measured=other))  # another certificate holds that number
    with pytest.raises(
        ExpungeError, match=r"^unlearning accuracy: blob: 0.991 .* \(by the number unlearning_accuracy\)"
    ):
        check_agreement(changed(changed(passed, blob, measured=other), cat, measured=other))


def test_a_pass_without_the_number_is_named(passed):
    numbers = {**passed.numbers, "frechet_distance": None}
    with pytest.raises(ExpungeError, match="Fréchet distance ratio: passed, but the certificate has no number"):
        check_agreement(passed.model_copy(update={"numbers": numbers}))


def test_a_changed_number_under_a_new_digest_is_named(passed):
    content = json.loads(passed.model_dump_json())
    content["numbers"]["retain_accuracy"]["difference"]["value"] = -0.01
    with pytest.raises(ExpungeError, match="retain accuracy drop: 0.022 .* is not what was measured"):
        check_agreement(load_certificate(with_digest(content)))
