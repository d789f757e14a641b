"""Versions that still draw what was taken down, on a real inbox, a real log and a real MLflow store."""

import pytest

from expunge.errors import ExpungeError
from expunge.release.promotion import follow, plan_roll_back, roll_back
from expunge.release.superseded import Decided, decide, settle_superseded
from expunge.release.taken_down import what_was_taken_down
from expunge.takedown.life_cycle import Status
from tests.release.test_settling import US, blank, box, claim, registry, settle, work  # noqa: F401  fixtures


@pytest.fixture
def line(box, registry, work):  # noqa: F811
    """Versions 1, 2 and 3, each made from the one before, for cat, dog and fish."""
    return [work_and_settle(box, registry, work, name) for name in ("cat", "dog", "fish")]


def work_and_settle(box, registry, work, name, **how):  # noqa: F811
    version = work(name, **how)
    settle(box, registry, version)
    return version


def tags(registry) -> dict[int, tuple[str, str]]:  # noqa: F811
    versions = registry.history()
    return {each.version: (each.tags.get("draws_taken_down", ""), each.tags.get("hidden", "")) for each in versions}


def test_marks_tell_what_each_version_still_draws(box, registry, line):  # noqa: F811
    settle_superseded(registry, decide(box, registry, "keep"))
    assert tags(registry) == {3: ("", ""), 2: ("object-fish", ""), 1: ("object-dog, object-fish", "")}
    roll_back(box.champions, registry, plan_roll_back(box), "it draws nothing at all")
    settle_superseded(registry, decide(box, registry, "keep"))
    assert tags(registry) == {3: ("", ""), 2: ("", ""), 1: ("object-dog", "")}


def test_a_hidden_version_is_not_opened_until_it_is_champion_again(box, registry, line):  # noqa: F811
    settle_superseded(registry, decide(box, registry, "hide"))
    assert tags(registry)[1] == ("object-dog, object-fish", "true") and tags(registry)[2] == ("object-fish", "")
    assert registry.folder(2).is_dir() and registry.folder(3).is_dir()
    with pytest.raises(ExpungeError, match="version 1 of expunge-zoo is hidden: it still draws what object-dog"):
        registry.folder(1)
    for _ in range(2):
        roll_back(box.champions, registry, plan_roll_back(box), "back to the first")
    assert registry.folder(1).is_dir()
    settle_superseded(registry, decide(box, registry, "keep"))
    assert {hidden for _, hidden in tags(registry).values()} == {""}


def test_a_deleted_version_leaves_no_file_and_no_roll_back_ends_there(box, registry, line):  # noqa: F811
    folder = registry.folder(1)
    settle_superseded(registry, decide(box, registry, "delete"))
    assert sorted(tags(registry)) == [2, 3] and not folder.parents[1].exists()
    assert registry.folder(2).is_dir() and registry.folder(3).is_dir()
    roll_back(box.champions, registry, plan_roll_back(box), "it draws nothing at all")
    assert registry.champion().version == 2 == follow(box.champions, registry)
    before = box.champions.entries()
    with pytest.raises(ExpungeError, match="no version '1'"):
        roll_back(box.champions, registry, plan_roll_back(box), "further")
    assert box.champions.entries() == before


def test_of_very_many_that_a_version_draws_the_mark_names_some(box, registry, line):  # noqa: F811
    drawn = tuple(f"style-artist-{number:04d}" for number in range(6000))
    settle_superseded(registry, [Decided(line[0], drawn, "keep")])  # all of them MLflow would refuse
    said, hidden = tags(registry)[1]
    assert said.startswith("style-artist-0000, ") and said.endswith("style-artist-0099 and 5,900 more") and not hidden


def test_what_may_be_in_service_next_is_never_deleted(box, registry, line, work):  # noqa: F811
    challenger = work("horse", days=7)
    assert settle(box, registry, challenger) == "waiting"
    acts = {each.version.version: each.act for each in decide(box, registry, "delete")}
    assert acts == {1: "delete", 2: "keep", 3: "keep", challenger.version: "keep"}


def test_nothing_is_deleted_while_a_certificate_is_to_be_chained_to_it(box, registry, line):  # noqa: F811
    current = box.champions.current()
    box.file(kind="object", target="horse")
    claim(box, US)
    late = current.model_copy(update={"version": 4, "replaces": 3, "adds": ("object-horse",)})
    box.champions.crown(late)
    assert box.state("object-horse").status is Status.CLAIMED
    assert {each.act for each in decide(box, registry, "delete")} == {"keep"}


def test_who_draws_what_was_taken_down(box, registry, line, work):  # noqa: F811
    failed = work_and_settle(box, registry, work, "horse", passed=False)
    taken = {each.request_id: each for each in what_was_taken_down(box, registry)}
    assert sorted(taken) == ["object-cat", "object-dog", "object-fish", "object-horse"]
    asked = what_was_taken_down(box, registry, "when fulfilled")
    assert sorted(each.request_id for each in asked) == ["object-cat", "object-dog", "object-fish"]
    assert what_was_taken_down(box, registry, "keep") == []
    base = line[0].tags["sha256_base_model"]
    digests = [version.digest for version in line]
    assert taken["object-cat"].drawn_by == {base} and taken["object-dog"].drawn_by == {base, digests[0]}
    assert taken["object-horse"].drawn_by == {base, *digests, failed.digest}
    assert taken["object-cat"].until is None
    closed = box.state("object-horse").history[-1].time
    assert taken["object-horse"].is_drawn_by([digests[2]], closed)
    later = closed.replace(year=closed.year + 1)
    assert not taken["object-horse"].is_drawn_by([digests[2]], later)
    assert taken["object-cat"].is_drawn_by([base], later) and not taken["object-cat"].is_drawn_by([digests[2]], closed)
