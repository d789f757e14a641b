"""How an inbox stands, and what is run next."""

from datetime import timedelta

from expunge.takedown.inbox import Inbox
from expunge.takedown.life_cycle import Wait
from expunge.takedown.standing import BY_HAND, Standing, failures, next_runs, standing
from tests.takedown.absences import absence
from tests.takedown.champions import fulfil
from tests.takedown.conftest import Clock

FAR = "far-away:1:run"


def stands(inbox: Inbox, clock: Clock) -> Standing:
    return standing(inbox.requests(), "m", None, clock.now)


def claim(inbox: Inbox, *only: str, owner: str = FAR) -> list[str]:
    return [each.id for each in inbox.claim_pending(owner, lambda batch: {}, only).requests]


def test_everything_is_counted_where_it_belongs(inbox: Inbox, clock: Clock, folder) -> None:
    for name in ("a", "b", "c", "d", "e"):
        inbox.file(kind="style", target=name, id=name, due=clock.now + timedelta(hours=3))
    (folder / "bad.yaml").write_text("kind: [", encoding="utf-8")
    claim(inbox, "b", "c", "d", "bad")
    inbox.wait("c", Wait(version=9, made_from=None, until=clock.now + timedelta(days=9)))
    clock.passes(hours=2)
    inbox.heartbeats.beat(FAR)
    inbox.close("d", "failed", "UA 0.5")
    claim(inbox, "e")
    fulfil(inbox, "e")
    found = stands(inbox, clock)
    assert (found.pending, found.running, found.fulfilled) == (("a", "c"), ("b",), ("e",))  # c's version was overtaken
    assert (found.failed, found.rejected) == (("d",), ("bad",)) and found.for_a_person == ("bad",)
    assert found.overdue == () and found.hours_to_close == (2.0, 2.0)
    clock.passes(hours=1, seconds=1)
    assert stands(inbox, clock).overdue == ("a", "b", "c", "d")


def test_nothing_to_remove_is_counted_apart_and_neither_late_nor_tried_again(inbox: Inbox, clock: Clock) -> None:
    inbox.file(kind="style", target="a", id="a", due=clock.now + timedelta(hours=3))
    claim(inbox)
    inbox.close_absent("a", absence())
    clock.passes(hours=4)
    found = stands(inbox, clock)
    assert found.nothing_to_remove == ("a",) and found.hours_to_close is None
    assert found.fulfilled == found.failed == found.overdue == found.for_a_person == ()
    assert next_runs(inbox) == []


def test_new_requests_run_together_the_first_due_first(inbox: Inbox, clock: Clock) -> None:
    assert next_runs(inbox) == []
    for name, hours in (("a", None), ("b", 9), ("c", 4)):
        inbox.file(kind="style", target=name, id=name, due=hours and clock.now + timedelta(hours=hours))
    assert next_runs(inbox) == [["c", "b", "a"]]
    claim(inbox, "c")
    assert next_runs(inbox) == [["b", "a"]]
    clock.passes(minutes=3)
    assert next_runs(inbox) == [["c", "b", "a"]]  # nobody has heard of its holder


def test_what_failed_in_company_is_tried_alone_and_then_goes_to_a_person(inbox: Inbox, clock: Clock) -> None:
    for name in ("a", "b"):
        inbox.file(kind="style", target=name, id=name)
    claim(inbox)
    for name in ("a", "b"):
        inbox.close(name, "failed", "UA of a 0.5")
    assert next_runs(inbox) == [["a"], ["b"]] and stands(inbox, clock).for_a_person == ()
    inbox.retry("a")
    claim(inbox, "a")
    inbox.close("a", "failed", "UA of a 0.5")
    assert next_runs(inbox) == [["b"]] and stands(inbox, clock).for_a_person == ("a",)
    inbox.retry("a", BY_HAND)
    assert failures(inbox.state("a")) == 0 and next_runs(inbox) == [["a"], ["b"]]
