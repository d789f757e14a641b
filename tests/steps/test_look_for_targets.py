"""Looking for targets and closing what is not drawn, step by step, on tiny models whose judge finds one thing alone."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from expunge.evaluation.evaluation_settings import EvaluationSettings
from expunge.models.hardware import HardwareSettings
from expunge.pictures.drawing import DrawingSettings
from expunge.prompts.load_world import load_world
from expunge.prompts.target import unworkable
from expunge.takedown.inbox import Inbox
from expunge.takedown.object_store import open_store
from expunge.takedown.owner import this_owner
from tests.pipelines.pictures_anywhere import found_in
from tests.steps.test_entrypoints import WORLD
from tests.tiny_job import main_job, told_apart

pytestmark = pytest.mark.slow
LIMIT, SUBJECTS = 0.5, WORLD["factors"]["subject"]


@pytest.fixture(scope="module")
def looked(zenml_home: Path, tiny_folder: Path, tmp_path_factory):
    """Two requests, claimed, and what the steps made of them; every result by the step's name."""
    from steps.close_absent import close_absent
    from steps.load_base_model import load_base_model
    from steps.look_for_targets import look_for_targets
    from steps.resolve_case import resolve_case

    home = tmp_path_factory.mktemp("look")
    job = main_job(home, tiny_folder)
    sizes = EvaluationSettings.model_validate(job["evaluation"] | {"target_pictures": 24})
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        box, owner, world = Inbox(open_store("inbox"), "tiny"), this_owner("a-run"), load_world("world.yaml")
        seen, unseen = told_apart(job | {"evaluation": job["evaluation"] | {"target_pictures": 24}}, SUBJECTS)
        absent, there = (box.file(kind="object", target=name).request.id for name in (unseen, seen))
        batch = box.claim_pending(owner, lambda batch: unworkable(batch, world))
        base, facts = load_base_model.entrypoint(str(tiny_folder), "tiny", "inbox")
        drawing = DrawingSettings(**job["drawing"])
        case = resolve_case.entrypoint("world.yaml", job["judges"], drawing, batch, HardwareSettings(device="cpu"))
        look, page = look_for_targets.entrypoint(base, facts, case, sizes, LIMIT, False)
        _, hidden = look_for_targets.entrypoint(base, facts, case, sizes, LIMIT, True)
        others = close_absent.entrypoint("inbox", "tiny", batch, look, facts, "other:2:run")
        untouched = {entry.id: entry.state.label for entry in box.requests()}
        left = close_absent.entrypoint("inbox", "tiny", batch, look, facts, owner)
        again = close_absent.entrypoint("inbox", "tiny", batch, look, facts, owner)
        yield SimpleNamespace(**locals())


def test_the_judges_say_what_is_drawn(looked):
    said = {each.name: each.verdict for each in looked.look.targets}
    assert said == {looked.unseen: "nothing to remove", looked.seen: "drawn"}


def test_what_is_not_drawn_is_closed_with_the_evidence_and_the_other_is_left(looked):
    assert [each.target for each in looked.left.requests] == [looked.seen]
    state = looked.box.state(looked.absent)
    assert state.label == "nothing to remove" and state.certificate is None
    (found,), absence = state.absence.found, state.absence
    (share,) = next(each.shares for each in looked.look.targets if each.name == looked.unseen).values()
    assert (found.judge, found.share, found.low, found.high) == ("CLIP", share.value, share.low, share.high)
    assert found.taken_for == looked.seen
    assert found.high < LIMIT == absence.limit and absence.pictures == share.samples >= 24
    assert (absence.source, absence.version, absence.digest) == (str(looked.tiny_folder), None, looked.base.digest())
    assert (absence.judges, absence.judges_digest) == (looked.case.judges, looked.case.judges_digest)
    assert (absence.wordings, absence.run) == ("held_out", looked.owner)
    assert looked.box.state(looked.there).label == "claimed"


def test_closing_again_changes_nothing(looked):
    assert looked.again == looked.left
    assert [event.status for event in looked.box.state(looked.absent).history] == ["claimed", "nothing to remove"]


def test_what_somebody_else_holds_is_left_to_them(looked):
    assert looked.untouched == {looked.absent: "claimed", looked.there: "claimed"}
    assert looked.others == looked.left


def test_the_page_shows_verdict_numbers_and_pictures(looked):
    page = str(looked.page)
    assert "Nothing to remove for 1 of 2 requests" in page and f"“{looked.unseen}” is not drawn" in page
    assert looked.base.digest() in page and looked.look.prompts_digest in page
    shown = found_in([("page.html", page.encode())], looked_at(looked))
    assert shown["page.html"] >= 12
    assert found_in([("page.html", str(looked.hidden).encode())], looked_at(looked)) == {}
    assert str(looked.hidden).count("left out of this page") == 2


def looked_at(looked):
    """Every picture that asked for a target, from the store."""
    from expunge.evaluation.look import look_for_targets
    from expunge.pictures.picture_store import PictureStore

    store = PictureStore(looked.home / ".expunge/evaluations/pictures")
    return look_for_targets(looked.base, looked.case, looked.sizes, LIMIT, store)[1].pictures


def test_the_evidence_is_plain_json_in_the_store(looked):
    file = looked.home / f"inbox/.models/tiny/requests/{looked.absent}/000002.json"
    stored = json.loads(file.read_text(encoding="utf-8"))
    assert stored["outcome"] == "nothing to remove" and stored["absence"]["found"][0]["judge"] == "CLIP"
