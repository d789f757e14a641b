"""Which moves a request's state allows."""

import os
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import psutil
import pytest

from expunge.errors import ExpungeError
from expunge.takedown.life_cycle import Claim, Outcome, RequestState, Status, Wait
from expunge.takedown.owner import lasting_owner, owner_is_gone, this_owner
from tests.takedown.absences import absence

NOW = datetime(2030, 1, 1, tzinfo=UTC)
PENDING = RequestState()
WAIT = Wait(version=2, made_from=1, until=NOW + timedelta(days=14))
CLAIMED = PENDING.claimed("far:1:run", NOW, {"a.yaml": "00"})
ABSENCE = absence()
WITH_CERTIFICATE = [each for each in Outcome if each is not Outcome.NOTHING]
CLOSED = {outcome: CLAIMED.closed(outcome, NOW, "why", {"n": 1}) for outcome in WITH_CERTIFICATE}
CLOSED[Outcome.NOTHING] = CLAIMED.absent(NOW, ABSENCE)


def test_the_way_through() -> None:
    state = CLOSED[Outcome.FULFILLED]
    assert (state.status, state.outcome, state.label) == (Status.CLOSED, Outcome.FULFILLED, "fulfilled")
    assert [event.status for event in state.history] == ["claimed", "fulfilled"]
    assert state.claim is None and state.certificate == {"n": 1} and state.hashes == {"a.yaml": "00"}
    assert RequestState() == PENDING


def test_it_survives_json() -> None:
    for state in (PENDING, CLAIMED, *CLOSED.values()):
        assert RequestState.model_validate_json(state.model_dump_json()) == state


def close(state: RequestState, outcome: Outcome) -> RequestState:
    later = NOW + timedelta(hours=2)
    if outcome is Outcome.NOTHING:
        return state.absent(later, ABSENCE)
    return state.closed(outcome, later, "again", None)


@pytest.mark.parametrize("outcome", Outcome)
def test_closing_again_changes_nothing_and_otherwise_is_refused(outcome: Outcome) -> None:
    closed = CLOSED[outcome]
    assert close(closed, outcome) is closed
    for other in set(Outcome) - {outcome}:
        with pytest.raises(ExpungeError, match=f"is {outcome.value}; only a claimed"):
            close(closed, other)


def test_nothing_to_remove_rests_on_evidence_and_is_no_fulfilment() -> None:
    state = CLAIMED.absent(NOW, ABSENCE, "far:1:run")
    assert (state.status, state.label) == (Status.CLOSED, "nothing to remove")
    assert state.absence == ABSENCE and state.certificate is None and state.claim is None
    assert state.reason == (
        "of 72 pictures by zoo the share that shows it is 0.000 [0.000, 0.050] by the classifier of style, which finds "
        "none most often; 0.014 [0.000, 0.075] by CLIP, which finds blob most often; "
        "below 0.5 by every judge there is nothing to remove"
    )
    with pytest.raises(ExpungeError, match="cannot be closed as nothing to remove without the evidence"):
        CLAIMED.closed(Outcome.NOTHING, NOW, "says who", None)


def test_moves_that_are_refused() -> None:
    for move, message in [
        (lambda: PENDING.closed(Outcome.FULFILLED, NOW, "", None), "is pending; only a claimed"),
        (lambda: PENDING.released(NOW, ""), "is pending; only a claimed"),
        (lambda: PENDING.retried(NOW, ""), "is pending; only a failed or rejected"),
        (lambda: CLAIMED.retried(NOW, ""), "is claimed by far:1:run; only a failed"),
        (lambda: CLOSED[Outcome.FAILED].rejected(NOW, ""), "only a pending request can be rejected"),
        (
            lambda: CLAIMED.closed(Outcome.FAILED, NOW, "", None, "b:2:run"),
            "is claimed by far:1:run by now, so b:2:run",
        ),
        (lambda: CLAIMED.released(NOW, "", "b:2:run"), "is claimed by far:1:run by now, so b:2:run"),
        (lambda: PENDING.waiting(NOW, WAIT), "is pending; only a claimed request can wait"),
        (lambda: CLAIMED.reopened(NOW, ""), "only a fulfilled request, or one with nothing to remove, can be reopened"),
        (lambda: CLOSED[Outcome.FAILED].reopened(NOW, ""), "is failed; only a fulfilled"),
        (lambda: PENDING.absent(NOW, ABSENCE), "is pending; only a claimed"),
        (lambda: CLAIMED.absent(NOW, ABSENCE, "b:2:run"), "is claimed by far:1:run by now, so b:2:run"),
        (lambda: CLOSED[Outcome.FULFILLED].retried(NOW, ""), "is fulfilled; only a failed"),
        (lambda: CLOSED[Outcome.REJECTED].claimed("b:2:run", NOW, {}), "is rejected; only a pending"),
    ]:
        with pytest.raises(ExpungeError, match=message):
            move()


def test_what_was_not_fulfilled_can_be_retried() -> None:
    for outcome in (Outcome.FAILED, Outcome.REJECTED, Outcome.NOTHING):
        again = CLOSED[outcome].retried(NOW, "")
        assert again.status is Status.PENDING and again.outcome is None and again.certificate is again.absence is None
        assert again.is_open_to("b:2:run", lambda claim: False)


def test_a_stale_claim_is_open_to_others() -> None:
    assert not CLAIMED.is_open_to("b:2:run", lambda claim: False)
    assert CLAIMED.is_open_to("far:1:run", lambda claim: False)
    assert CLAIMED.is_open_to("b:2:run", lambda claim: claim.owner == "far:1:run")
    taken = CLAIMED.claimed("b:2:run", NOW, {})
    assert taken.claim == Claim(owner="b:2:run", taken_at=NOW)
    assert taken.history[-1].reason == "taken over from far:1:run"


def test_it_waits_for_a_person_and_goes_on() -> None:
    waiting = CLAIMED.waiting(NOW, WAIT, "far:1:run")
    assert waiting.label == "waiting" and waiting.claim is None and waiting.wait == WAIT
    assert waiting.reason == "version 2 passed the gate and waits for an approval until 2030-01-15 00:00 UTC"
    assert not waiting.is_open_to("far:1:run", lambda claim: True)
    assert waiting.closed(Outcome.FULFILLED, NOW, "", None).wait is None
    assert waiting.released(NOW, "").is_open_to("b:2:run", lambda claim: False)


@pytest.mark.parametrize("outcome", [Outcome.FULFILLED, Outcome.NOTHING])
def test_a_reopened_request_is_pending_without_its_evidence(outcome: Outcome) -> None:
    again = CLOSED[outcome].reopened(NOW, "rolled back")
    assert again.label == "pending" and again.certificate is again.absence is None
    assert again.hashes == {"a.yaml": "00"}


def test_claims_of_earlier_versions_are_read() -> None:
    then = NOW.isoformat()
    old = {"status": "claimed", "claim": {"owner": "a:1:r", "taken_at": then, "lease_until": then}}
    assert RequestState.model_validate(old).claim == Claim(owner="a:1:r", taken_at=NOW)


def test_only_a_live_request_stands_in_for_a_new_one() -> None:
    live = {Outcome.FULFILLED: True, Outcome.FAILED: False, Outcome.REJECTED: False, Outcome.NOTHING: False}
    assert {outcome: CLOSED[outcome].is_live for outcome in Outcome} == live
    assert PENDING.is_live and CLAIMED.is_live


def test_owners() -> None:
    now = datetime.now(UTC) + timedelta(minutes=5)
    assert this_owner("run:1") == f"{socket.gethostname()}:{os.getpid()}:run:1"
    assert not owner_is_gone(this_owner("x"), now)
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    assert owner_is_gone(f"{socket.gethostname()}:{process.pid}:x", now)
    assert not owner_is_gone(f"elsewhere-{socket.gethostname()}:{process.pid}:x", now)
    assert not owner_is_gone("anybody", now)
    assert not owner_is_gone(lasting_owner("x"), now) and lasting_owner("x") == lasting_owner("x") != lasting_owner("y")


def test_a_process_that_inherited_the_number_is_not_the_owner() -> None:
    started = datetime.fromtimestamp(psutil.Process().create_time(), UTC)
    assert owner_is_gone(this_owner("x"), started - timedelta(hours=1))


def test_a_dead_process_that_nobody_waited_for_is_gone() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    while psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE:
        pass
    assert owner_is_gone(f"{socket.gethostname()}:{process.pid}:x", datetime.now(UTC))
    process.wait()
