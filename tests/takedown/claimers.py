"""Many claimers on one inbox, of two hosts, killed at random: who worked on what, and how each request ended.

A claimer claims what is pending, works, crowns a version that covers it, closes it, and begins anew. Hosts are names: a
claimer knows a dead one of its own host by the process, and one of the other by the missing heartbeat alone.
"""

import json
import multiprocessing
import os
import random
import signal
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing.process import BaseProcess
from pathlib import Path
from unittest.mock import patch

from expunge.takedown.champion_log import Crowning, Overtaken
from expunge.takedown.inbox import Inbox
from expunge.takedown.life_cycle import NotHeld, Outcome
from expunge.takedown.object_store import open_store
from expunge.takedown.owner import this_owner

HOSTS = ("host-a", "host-b")
_FORK = multiprocessing.get_context("fork")


@dataclass(frozen=True)
class Trial:
    """What to do.

    Attributes:
        place: of the inbox, empty.
        logs: a folder for what each claimer writes down.
        requests: how many, arriving in bursts.
        claimers: at a time; one that is killed is replaced by one of either host.
        kills: by SIGKILL, spread over the time in which requests arrive.
        freezes: by SIGSTOP for one and a half leases: such a claimer wakes up and finds that it lost its claims.
        lease: of a claim without a heartbeat.
        arriving: seconds until the last request has arrived.
        work: longest time that a batch is worked on, in seconds.
    """

    place: str
    logs: Path
    requests: int
    claimers: int
    kills: int
    freezes: int
    lease: timedelta
    arriving: float
    work: float


def run_trial(trial: Trial, seed: int = 0, patience: float = 600) -> dict[str, float]:
    """Let it run until all requests are closed, or for ``patience`` seconds after the last arrived.

    Returns:
        Counts; times in seconds. ``worked on too often`` counts requests that more claimers began to work on than one,
        and one more for each of them that was killed or frozen.
    """
    chance, box = random.Random(seed), Inbox(open_store(trial.place), lease=trial.lease)
    ids = [f"request-{number:04d}" for number in range(trial.requests)]
    events = sorted(
        [(chance.uniform(0, trial.arriving), "file", each) for each in ids]
        + [(chance.uniform(0, trial.arriving), "kill", "") for _ in range(trial.kills)]
        + [(chance.uniform(0, trial.arriving), "freeze", "") for _ in range(trial.freezes)]
    )
    ended = trial.logs / "ended"
    began_at, numbers = time.monotonic(), iter(range(10**6))
    alive = [_started(trial, ended, next(numbers), HOSTS[each % 2], chance) for each in range(trial.claimers)]
    disturbed: dict[int, str] = {}
    frozen: list[tuple[float, BaseProcess]] = []
    died: dict[str, datetime] = {}
    for at, what, request_id in events:
        time.sleep(max(0.0, began_at + at - time.monotonic()))
        frozen = _thawed(frozen)
        if what == "file":
            box.store.create(f"{request_id}.yaml", f"kind: style\ntarget: {request_id}\n".encode())
            continue
        able = [each for each in alive if all(each is not other for _, other in frozen)]
        victim = chance.choice(able)
        assert victim.pid is not None
        disturbed[victim.pid] = what
        if what == "freeze":
            _signal(victim, signal.SIGSTOP)
            frozen.append((time.monotonic() + 1.5 * trial.lease.total_seconds(), victim))
            continue
        victim.kill()
        victim.join()
        died[str(victim.pid)] = datetime.now(UTC)
        alive[alive.index(victim)] = _started(trial, ended, next(numbers), chance.choice(HOSTS), chance)
    waits_until = time.monotonic() + patience
    while time.monotonic() < waits_until:
        frozen = _thawed(frozen)
        if not frozen and all(each.state.outcome for each in box.requests()):
            break
        time.sleep(0.5)
    for _, each in frozen:
        _signal(each, signal.SIGCONT)
    ended.touch()
    for each in alive:
        each.join()
    failed = sum(each.exitcode != 0 for each in alive)
    return {**_count(trial, box, ids, disturbed, died), "claimers that failed": failed}


def _count(
    trial: Trial, box: Inbox, ids: list[str], disturbed: dict[int, str], died: dict[str, datetime]
) -> dict[str, float]:
    lines = [json.loads(line) for log in trial.logs.glob("*.log") for line in log.read_text().splitlines()]
    workers: dict[str, set[str]] = {each: set() for each in ids}
    for line in lines:
        if line["what"] == "began":
            workers[line["id"]].add(line["owner"])
    excused = {
        each: 1 + sum(int(owner.split(":")[1]) in disturbed for owner in owners) for each, owners in workers.items()
    }
    times = Counter(len(owners) for owners in workers.values())
    states = {each: box.state(each) for each in ids}
    ends = [[event.status for event in state.history if event.status in set(Outcome)] for state in states.values()]
    taken_over = []
    for state in states.values():
        for event in state.history:
            former = event.reason.removeprefix("taken over from ")
            if former != event.reason and (pid := former.split(":")[1]) in died:
                taken_over.append((event.time - died[pid]).total_seconds())
    current = box.champions.current()
    entries = box.champions.entries()
    return {
        "requests": len(ids),
        "killed": len(died),
        "frozen": sum(what == "freeze" for what in disturbed.values()),
        "worked on once": times[1],
        "worked on twice": times[2],
        "worked on more often": sum(count for number, count in times.items() if number > 2),
        "worked on too often": sum(len(workers[each]) > excused[each] for each in ids),
        "not closed exactly once": sum(end != [Outcome.FULFILLED] for end in ends),
        "not covered": len(set(ids) - (box.champions.covered_by(current.version) if current else set())),
        "double crownings": len(entries) - len({each.version for each in entries}),
        "claims taken over from a dead one": len(taken_over),
        "longest until taken over, s": round(max(taken_over, default=0.0), 1),
        "moves refused to who lost the claim": sum(line["what"] == "not held" for line in lines),
    }


def _started(trial: Trial, ended: Path, number: int, host: str, chance: random.Random) -> BaseProcess:
    process = _FORK.Process(target=_claimer, args=(trial, ended, number, host, chance.random()))
    process.start()
    return process


def _claimer(trial: Trial, ended: Path, number: int, host: str, seed: float) -> None:
    """Claim, work, crown, close, and begin anew until all is over."""
    chance = random.Random(seed)
    box = Inbox(open_store(trial.place), lease=trial.lease)
    with patch("socket.gethostname", return_value=host), (trial.logs / f"{number}.log").open("a") as log:
        turn = 0
        while not ended.exists():
            turn += 1
            owner = this_owner(f"run-{turn}")
            with box.heartbeats.kept_up(owner):
                batch = box.claim_pending(owner, lambda batch: {})
                ids = [request.id for request in batch.requests]
                current = box.champions.current()
                done = box.champions.covered_by(current.version) if current else ()
                fresh = [each for each in ids if each not in done]
                for each in fresh:
                    print(json.dumps({"what": "began", "id": each, "owner": owner}), file=log, flush=True)
                if fresh:
                    time.sleep(chance.uniform(0, trial.work))
                    _crown(box, 1_000_000 * number + turn + 1, fresh)
                for each in ids:
                    try:
                        box.close(each, Outcome.FULFILLED, owner=owner)
                    except NotHeld:
                        print(json.dumps({"what": "not held", "id": each, "owner": owner}), file=log, flush=True)
            time.sleep(chance.uniform(0, trial.work))


def _crown(box: Inbox, version: int, adds: list[str]) -> None:
    while True:
        current = box.champions.current()
        crowning = Crowning(
            version=version,
            replaces=current.version if current else None,
            adds=tuple(adds),
            why="promotion",
            at=datetime.now(UTC),
        )
        try:
            box.champions.crown(crowning)
        except Overtaken:
            continue
        return


def _thawed(frozen: list[tuple[float, BaseProcess]]) -> list[tuple[float, BaseProcess]]:
    """Wake up those whose time has come; the others."""
    for until, each in frozen:
        if time.monotonic() >= until:
            _signal(each, signal.SIGCONT)
    return [(until, each) for until, each in frozen if time.monotonic() < until]


def _signal(process: BaseProcess, number: signal.Signals) -> None:
    assert process.pid is not None
    os.kill(process.pid, number)
