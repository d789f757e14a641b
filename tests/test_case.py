"""The case: resolved once, equal by content, and its judges are the ones it was resolved with."""

import pytest
import yaml

from expunge import case as module
from expunge.case import Case, resolve_case
from expunge.errors import ExpungeError
from expunge.pictures.drawing import DrawingSettings
from expunge.prompts.target import Target
from expunge.takedown.request import Kind, TakedownBatch, TakedownRequest
from tests.metrics.colour_judges import WORLD, colour_panel
from tests.tiny_clip import make_tiny_clip

DRAWING = DrawingSettings(steps=1, guidance=1)


def target(name: str, factor: str) -> Target:
    kind = Kind.OBJECT if factor == "subject" else Kind.STYLE
    return Target(request_id=name, kind=kind, name=name, factor=factor, levels=(name,))


CAT, BLOB = target("cat", "subject"), target("blob", "style")


def test_a_run_measures_its_own_targets_and_nothing_forgotten_before():
    case = Case.of(WORLD, colour_panel(), DRAWING).about([CAT], [BLOB])
    asked = [each.factors for each in WORLD.sample("train", 1, 0) if case.is_measured(each)]
    assert {each["style"] for each in asked if each["subject"] == "cat"} == set(WORLD.factors["style"])
    assert {each["style"] for each in asked if each["subject"] != "cat"} == set(WORLD.factors["style"]) - {"blob"}
    assert case.gone == (CAT, BLOB)


@pytest.fixture
def names(tmp_path, monkeypatch):
    """A world and judges by name, in a working folder of their own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, "_PANELS", {})
    written = {"templates": dict(WORLD.templates), "factors": WORLD.model_dump(mode="json")["factors"]}
    (tmp_path / "world.yaml").write_text(yaml.safe_dump(written, sort_keys=False), encoding="utf-8")
    return "world.yaml", f"local-dir:{make_tiny_clip(tmp_path / 'clip')}"


def batch(*targets: str) -> TakedownBatch:
    made = [
        TakedownRequest(id=name, kind=Kind.OBJECT, target=name, filed_at="2026-01-01T00:00:00Z") for name in targets
    ]
    return TakedownBatch(requests=tuple(made))


def test_a_case_is_resolved_from_names_and_survives_being_written_down(names):
    case = resolve_case(*names, DRAWING, batch("cat"))
    assert [each.levels for each in case.targets] == [("cat",)] and case.world == WORLD
    again = Case.model_validate_json(case.model_dump_json())
    assert again == case and again.digest() == case.digest()
    assert again.panel() is case.panel()  # loaded once


def test_its_digest_covers_the_worlds_text_and_the_judges_weights(names, tmp_path, monkeypatch):
    case = resolve_case(*names, DRAWING, batch("cat"))
    world = tmp_path / "world.yaml"
    world.write_text(world.read_text(encoding="utf-8").replace("cat", "tomcat", 1), encoding="utf-8")
    assert resolve_case(*names, DRAWING, batch("dog")).world != case.world
    assert resolve_case("world.yaml", names[1], DRAWING.model_copy(update={"steps": 2}), None).digest() != case.digest()
    monkeypatch.setattr(module, "_PANELS", {})
    make_tiny_clip(tmp_path / "clip", seed=1)
    other = resolve_case(*names, DRAWING, batch("dog"))
    assert other.judges_digest != case.judges_digest
    with pytest.raises(ExpungeError, match="changed since this case was resolved"):
        case.panel()


def test_what_names_nothing_is_refused_when_the_case_is_resolved(names):
    with pytest.raises(ExpungeError, match="unicorn"):
        resolve_case(*names, DRAWING, batch("unicorn"))
