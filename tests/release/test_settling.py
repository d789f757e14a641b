"""Promotion, closing, finishing and rolling back, on a real inbox, a real log and a real MLflow store."""

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from mlflow import MlflowClient

from expunge.errors import ExpungeError
from expunge.evaluation.evaluation import GateDecision
from expunge.models.text_to_image import TextToImage
from expunge.release.approving import Answer, act_on, take_answer
from expunge.release.certificate import load_certificate
from expunge.release.finishing import finish
from expunge.release.promotion import follow, plan_roll_back, promote, roll_back
from expunge.release.registry import Registry
from expunge.release.settling import Settling
from expunge.release.verification import State, verify_files
from expunge.release.withdrawal import withdraw
from expunge.takedown.champion_log import Approval, Overtaken
from expunge.takedown.inbox import Inbox
from expunge.takedown.object_store import open_store
from expunge.takedown.request import TakedownBatch
from tests.release.made_versions import findings_for, page_of, registered
from tests.takedown.absences import absence

NAME = "expunge-zoo"
US, THEM = "far-away:1:us", "other:2:them"


@pytest.fixture(scope="module")
def blank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty store's file. Making its tables takes seconds, so it is made once and copied."""
    database = tmp_path_factory.mktemp("registry") / "mlflow.db"
    Registry(f"sqlite:///{database}")
    return database


@pytest.fixture
def registry(blank: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{shutil.copy(blank, tmp_path)}")
    return Registry()


@pytest.fixture
def box(tmp_path: Path) -> Inbox:
    return Inbox(open_store(tmp_path / "inbox"))


@pytest.fixture
def work(box: Inbox, registry: Registry, tiny_model: TextToImage):
    """File, claim and register, as a run would up to the gate; returns the version."""

    def work(*names: str, owner: str = US, **how):
        for name in names:
            box.file(kind="object", target=name)
        batch = claim(box, owner)
        requests = [each for each in batch.requests if each.target in names]
        champion = box.champions.current()
        made_from = how.pop("made_from", champion.version if champion else None)
        return registered(tiny_model, findings_for(requests, made_from, **how), NAME)

    return work


def claim(box: Inbox, owner: str) -> TakedownBatch:
    return box.claim_pending(owner, lambda batch: {})


def settle(box: Inbox, registry: Registry, version, owner: str | None = US, **how) -> str:
    return Settling(box, registry, version.version, page_of).settle(owner, **how)


def decision_on(box: Inbox, registry: Registry, version) -> GateDecision:
    return Settling(box, registry, version.version, page_of).findings.decision


def labels(box: Inbox) -> dict[str, str]:
    return {entry.id: entry.state.label for entry in box.requests()}


def test_a_version_that_passed_is_promoted_and_its_requests_closed(box, registry, work, tmp_path):
    version = work("cat", "dog")
    assert settle(box, registry, version) == "promoted"
    assert labels(box) == {"object-cat": "fulfilled", "object-dog": "fulfilled"}
    assert box.champions.covered_by(1) == {"object-cat", "object-dog"}
    assert registry.champion().version == version.version
    on_file = (tmp_path / ".expunge/reports/expunge-zoo-1/certificate-object-cat.json").read_text(encoding="utf-8")
    assert load_certificate(on_file).model_dump(mode="json") == box.state("object-cat").certificate
    assert registry.read(1, "report/certificate-object-cat.json") == on_file
    assert registry.read(1, "report/report.html") == "<p>report</p>"
    stored = MlflowClient().get_model_version(NAME, "1")
    assert stored.description.startswith("Made to forget **cat (object), dog (object)**, from zoo. It passed the gate.")
    inputs = MlflowClient().get_run(stored.run_id).inputs.dataset_inputs
    assert {each.dataset.name for each in inputs} == {"forget set", "retain set", "held-out prompts", "case"}
    assert load_certificate(on_file).issued_at == box.champions.current().at


def test_a_stranger_can_follow_the_evidence(box, registry, work, tmp_path):
    for name in ("cat", "dog", "fish"):
        settle(box, registry, work(name))
    shutil.rmtree(tmp_path / ".expunge/reports/expunge-zoo-1")  # another host: what is needed is fetched
    settle(box, registry, work("horse"))
    registry.fetch(1, "report", tmp_path / ".expunge/reports/expunge-zoo-1")
    file = tmp_path / ".expunge/reports/expunge-zoo-4/certificate-object-horse.json"
    checks = verify_files(file, model=registry.folder(4))
    assert {each.name: each.state for each in checks} == dict.fromkeys([each.name for each in checks], State.OK), checks
    assert "followed to version 3, 2, 1" in next(each.found for each in checks if each.name == "chain")


def test_settled_again_nothing_changes(box, registry, work):
    version = work("cat")
    settle(box, registry, version)
    before = box.state("object-cat")
    assert settle(box, registry, version) == settle(box, registry, version, owner=None) == "promoted"
    assert box.state("object-cat") == before and len(box.champions.entries()) == 1


def test_a_version_that_did_not_pass_is_kept_and_its_requests_failed(box, registry, work):
    version = work("cat", passed=False)
    assert settle(box, registry, version) == "failed"
    assert labels(box) == {"object-cat": "failed"} and box.champions.current() is None and registry.champion() is None
    assert "retain accuracy" in box.state("object-cat").reason
    with pytest.raises(ExpungeError, match=r"version 1 did not pass the gate, .*retain accuracy"):
        promote(box.champions, registry, version, decision_on(box, registry, version))


def test_the_later_of_two_overlapping_runs_goes_round_again(box, registry, work, tiny_model):
    box.file(kind="object", target="horse")
    ours = claim(box, US)
    theirs = work("car", owner=THEM)
    mine = registered(tiny_model, findings_for(ours.requests), NAME)
    assert settle(box, registry, theirs, THEM) == "promoted"
    assert settle(box, registry, mine) == "overtaken"
    assert labels(box) == {"object-car": "fulfilled", "object-horse": "claimed"}
    again = claim(box, US)
    assert [each.id for each in again.requests] == ["object-horse"] and [each.id for each in again.forgotten] == [
        "object-car"
    ]
    assert finish(box, registry, again, page_of, US) == again  # what was overtaken is not gone on with
    second = registered(tiny_model, findings_for(again.requests, theirs.version), NAME)
    assert settle(box, registry, second) == "promoted"
    assert box.champions.covered_by(box.champions.current().version) == {"object-car", "object-horse"}
    assert set(labels(box).values()) == {"fulfilled"} and box.champions.former() == theirs.version


def test_who_lost_the_claims_closes_nothing(box, registry, work, capsys):
    version = work("cat", passed=False)
    box.release("object-cat")
    claim(box, THEM)
    settle(box, registry, version)
    assert labels(box) == {"object-cat": "claimed"} and "is claimed by other:2:them by now" in capsys.readouterr().out


# Finishing


@pytest.mark.parametrize("passed", [True, False])
def test_what_a_dead_run_registered_is_finished(box, registry, work, passed):
    work("cat", "dog", passed=passed)
    box.release_all(US, "it died")
    box.file(kind="object", target="fish")
    left = finish(box, registry, claim(box, THEM), page_of, THEM)
    assert [each.id for each in left.requests] == ["object-fish"]
    wanted = "fulfilled" if passed else "failed"
    assert labels(box) == {"object-cat": wanted, "object-dog": wanted, "object-fish": "claimed"}
    assert [each.id for each in left.forgotten] == (["object-cat", "object-dog"] if passed else [])
    assert len(registry.history()) == 1


def test_of_a_version_that_failed_the_rest_is_closed(box, registry, work):
    work("cat", "dog", passed=False)
    Settling(box, registry, 1, page_of).close(["object-cat"], US)
    box.release("object-dog")
    assert finish(box, registry, claim(box, THEM), page_of, THEM).requests == ()
    assert set(labels(box).values()) == {"failed"}


def test_what_was_promoted_already_is_closed(box, registry, work):
    version = work("cat", "dog")
    promote(box.champions, registry, version, decision_on(box, registry, version))
    Settling(box, registry, 1, page_of).close(["object-cat"], US)
    box.release("object-dog")
    left = finish(box, registry, claim(box, THEM), page_of, THEM)
    assert left.requests == () and set(labels(box).values()) == {"fulfilled"} and len(box.champions.entries()) == 1


def test_a_failed_request_that_is_retried_is_done_again(box, registry, work):
    settle(box, registry, work("cat", passed=False))
    box.retry("object-cat")
    batch = claim(box, THEM)
    assert finish(box, registry, batch, page_of, THEM) == batch


def test_a_version_for_more_than_is_at_hand_is_not_gone_on_with(box, registry, work):
    work("cat", "dog")
    box.release_all(US, "it died")
    box.claim_pending(THEM, lambda batch: {"object-dog": "no longer wanted"})
    batch = claim(box, THEM)
    assert [each.id for each in batch.requests] == ["object-cat"]
    assert finish(box, registry, batch, page_of, THEM) == batch and box.champions.current() is None


def test_a_request_that_was_changed_under_its_id_is_done_anew(box, registry, work, tmp_path):
    work("cat")
    box.release_all(US, "it died")
    (tmp_path / "inbox/object-cat.yaml").write_text(
        "kind: object\ntarget: lion\nfiled_at: 2026-01-01\n", encoding="utf-8"
    )
    batch = claim(box, THEM)
    assert finish(box, registry, batch, page_of, THEM) == batch


# Approval


def test_a_version_waits_for_a_person(box, registry, work):
    version = work("cat", days=14)
    assert settle(box, registry, version) == settle(box, registry, version) == "waiting"
    assert labels(box) == {"object-cat": "waiting"} and box.champions.current() is None
    assert box.state("object-cat").wait.until == version.registered_at + timedelta(days=14)
    with pytest.raises(ExpungeError, match="version 1 needs an approval"):
        promote(box.champions, registry, version, decision_on(box, registry, version))
    word = Approval(name="a person", reason="looked at it", at=datetime.now(UTC))
    assert settle(box, registry, version, owner=None, approval=word) == "promoted"
    assert labels(box) == {"object-cat": "fulfilled"} and box.champions.current().approval == word


def test_what_a_dead_run_left_to_a_person_waits(box, registry, work):
    work("cat", days=14)
    box.release_all(US, "it died")
    assert finish(box, registry, claim(box, THEM), page_of, THEM).requests == ()
    assert labels(box) == {"object-cat": "waiting"}


def test_an_approval_that_died_half_way_is_finished(box, registry, work):
    version = work("cat", days=14)
    settle(box, registry, version)
    word = Approval(name="a person", reason="looked at it", at=datetime.now(UTC))
    promote(box.champions, registry, version, decision_on(box, registry, version), approval=word)
    assert labels(box) == {"object-cat": "waiting"}
    finish(box, registry, claim(box, THEM), page_of, THEM)
    assert labels(box) == {"object-cat": "fulfilled"}


def test_an_overtaken_version_cannot_be_approved(box, registry, work):
    version = work("cat", days=14)
    settle(box, registry, version)
    settle(box, registry, work("dog", owner=THEM), THEM)
    assert labels(box) == {"object-cat": "pending", "object-dog": "fulfilled"}
    word = Approval(name="a person", reason="too late", at=datetime.now(UTC))
    assert settle(box, registry, version, owner=None, approval=word) == "overtaken"
    assert labels(box)["object-cat"] == "pending" and registry.champion().version == 2


# Roll-back


def test_an_answer_that_a_run_waited_for_meets_what_became_of_the_version(box, registry, work):
    yes = Answer(approved=True, name="Ada", reason="the report")

    def answered(version) -> str:
        return take_answer(yes, box, registry, version.version, page_of)

    first = work("cat", days=14)
    assert settle(box, registry, first) == "waiting"
    assert act_on(yes, box, registry, first.version, page_of) == "promoted"
    assert answered(first) == "promoted" and box.champions.current().version == first.version

    late = work("dog", days=14)
    assert settle(box, registry, late) == "waiting"
    quick = work("horse", owner=THEM)
    assert settle(box, registry, quick, THEM) == "promoted"
    assert answered(late) == "overtaken" and box.champions.current().version == quick.version
    assert labels(box)["object-dog"] == "pending"

    unwanted = work("apple", days=14)
    assert settle(box, registry, unwanted) == "waiting"
    no = yes.model_copy(update={"approved": False})
    assert act_on(no, box, registry, unwanted.version, page_of) == "refused"
    assert answered(unwanted) == "refused" and box.champions.current().version == quick.version


def test_a_roll_back_says_what_it_reopens_and_does_it(box, registry, work, tmp_path):
    for name in ("cat", "dog"):
        settle(box, registry, work(name))
    planned = plan_roll_back(box)
    assert (planned.back_to, planned.instead_of, planned.reopened) == (1, 2, ("object-dog",))
    with pytest.raises(ExpungeError, match="reason: is empty"):
        roll_back(box.champions, registry, planned, " ")
    roll_back(box.champions, registry, planned, "it draws no dogs at all", "a person")
    assert withdraw(box.champions, registry) == ["object-dog"]
    assert labels(box) == {"object-cat": "fulfilled", "object-dog": "pending"}
    assert registry.champion().version == 1 and registry.get(2).aliases == ()
    (mark,) = json.loads((tmp_path / ".expunge/reports/expunge-zoo-2/withdrawn.json").read_text(encoding="utf-8"))
    assert (mark["request"], mark["reason"], mark["by"]) == ("object-dog", "it draws no dogs at all", "a person")
    assert json.loads(registry.read(2, "report/withdrawn.json")) == [mark]
    file = tmp_path / ".expunge/reports/expunge-zoo-2/certificate-object-dog.json"
    assert [each.name for each in verify_files(file) if each.state is State.FAILED] == ["withdrawn"]
    batch = claim(box, THEM)
    assert finish(box, registry, batch, page_of, THEM) == batch  # what was rolled back from is not promoted again
    with pytest.raises(ExpungeError, match="no former champion"):
        plan_roll_back(box)


def test_a_roll_back_says_too_what_only_a_later_version_did_not_draw(box, registry, work):
    for name in ("cat", "dog"):
        settle(box, registry, work(name))
    for name, version in (("fish", 2), ("bird", 1), ("fox", None)):
        box.file(kind="object", target=name)
        claim(box, US)
        box.close_absent(f"object-{name}", absence(version), US)
    planned = plan_roll_back(box)
    assert planned.reopened == ("object-dog", "object-fish")
    roll_back(box.champions, registry, planned, "it draws no dogs at all")
    assert {id for id, label in labels(box).items() if label == "pending"} == set(planned.reopened)
    assert withdraw(box.champions, registry) == ["object-dog"]  # there is no certificate of the other


def test_a_roll_back_planned_before_another_promotion_is_refused(box, registry, work):
    for name in ("cat", "dog"):
        settle(box, registry, work(name))
    planned = plan_roll_back(box)
    settle(box, registry, work("fish"))
    with pytest.raises(Overtaken):
        roll_back(box.champions, registry, planned, "why not")
    assert registry.champion().version == 3


def test_aliases_follow_the_log_whatever_was_done_to_them(box, registry, work):
    for name in ("cat", "dog"):
        settle(box, registry, work(name))
    client = MlflowClient()
    client.set_registered_model_alias(NAME, "champion", "1")
    client.delete_registered_model_alias(NAME, "former-champion")
    assert follow(box.champions, registry) == 2
    assert registry.champion().version == 2 and registry.get("former-champion").version == 1


def test_a_champion_of_before_the_log_is_found(box, registry, work, tmp_path):
    for name in ("cat", "dog"):
        settle(box, registry, work(name))
    shutil.rmtree(tmp_path / "inbox/.models/expunge-zoo/champions")
    assert follow(box.champions, registry) == 2
    first, second = box.champions.entries()
    assert (first.version, first.adds) == (1, ("object-cat",)) and box.champions.former() == 1
    assert second.why == "found" and box.champions.covered_by(2) == {"object-cat", "object-dog"}
    assert set(labels(box).values()) == {"fulfilled"}
