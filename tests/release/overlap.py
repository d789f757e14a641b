"""Two runs at once on one inbox and one registry, as two hosts would start them; some are killed and started again.

A run goes from claim to close, with unlearning left out: what is registered depends on requests and base alone. It
waits at random between its moves, and goes round again when it was overtaken. Everything random follows from the
pair's number.
"""

import multiprocessing
import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Collection
from multiprocessing.process import BaseProcess
from pathlib import Path
from unittest.mock import patch

from expunge.models.text_to_image import TextToImage
from expunge.release.finishing import finish
from expunge.release.promotion import follow
from expunge.release.registry import Registry
from expunge.release.settling import Settling
from expunge.takedown.champion_log import covered
from expunge.takedown.inbox import Inbox
from expunge.takedown.life_cycle import Outcome
from expunge.takedown.object_store import open_store
from expunge.takedown.owner import this_owner
from tests.release.made_versions import findings_for, page_of, registered

NAME = "expunge-zoo"
ROUNDS = 5  # a run that was overtaken so often gives up
KILLED = -signal.SIGKILL
_FORK = multiprocessing.get_context("fork")  # each run costs no start-up


def prepare(home: Path, model: TextToImage) -> Path:
    """A folder with an empty MLflow store, whose tables take seconds to make, below ``home``.

    One run is done in this process, so that those forked from it find all modules loaded.
    """
    blank, once = home / "blank", home / "once"
    assert _ended(_started(Registry, blank)) == 0
    shutil.copytree(blank, once)
    before = Path.cwd()
    with patch.dict(os.environ, MLFLOW_TRACKING_URI=_database(once)):
        os.chdir(once)
        try:
            Inbox(open_store("inbox")).file(kind="object", target="cat")
            _run("inbox", model, "once", random.Random(0))
        finally:
            os.chdir(before)
    return blank


def run_pair(blank: Path, home: Path, place: str, model: TextToImage, number: int, killed: bool) -> dict[str, int]:
    """Let two runs overlap; with ``killed``, one is killed at a random time and started again.

    Args:
        blank: see ``prepare``; copied to ``home``.
        place: of the inbox, not there yet.

    Returns:
        Counts: runs that were killed, versions registered, rounds that were overtaken, and what must be 0: lost
        updates, double crownings, requests not closed exactly once as fulfilled, fulfilled ones that the champion
        does not cover, aliases that differ from the log, and runs that ended with an error.
    """
    shutil.copytree(blank, home)
    chance = random.Random(f"{place[:2]} {number}")

    box = Inbox(open_store(place))

    def run(run_number: int, seed: float, only: Collection[str] = ()) -> Callable[[], None]:
        return lambda: _run(place, model, f"run-{run_number}", random.Random(seed), only)

    cat, dog = (box.file(kind="object", target=name).request.id for name in ("cat", "dog"))
    together = chance.random() < 0.25  # both ask for all that there is; else each for a request of its own
    first = _started(run(1, chance.random(), () if together else {cat}), home)
    time.sleep(chance.uniform(0.0, 0.5))
    second = _started(run(2, chance.random(), () if together else {dog}), home)
    statuses = []
    if killed:
        victim = chance.choice([first, second])
        time.sleep(chance.uniform(0.0, 2.0))
        victim.kill()
        statuses += [_ended(victim), _ended(_started(run(3, chance.random()), home))]
        statuses += [_ended(each) for each in (first, second) if each is not victim]
        # The next tick of the schedule: it finishes what a run that was killed last had left.
        statuses.append(_ended(_started(run(4, chance.random()), home)))
    else:
        statuses += [_ended(first), _ended(second)]
    counts = _FORK.SimpleQueue()
    assert _ended(_started(lambda: counts.put(_count(place)), home)) == 0
    failed = sum(status not in (0, KILLED) for status in statuses)
    return {"killed": statuses.count(KILLED), **counts.get(), "runs that failed": failed}


def _run(place: str, model: TextToImage, name: str, chance: random.Random, only: Collection[str] = ()) -> None:
    """One run, from claim to close; of ``only`` those requests, if there are any."""
    box, registry, owner = Inbox(open_store(place)), Registry(), this_owner(name)
    overtaken = 0
    with box.heartbeats.kept_up(owner):
        while overtaken < ROUNDS:
            left = finish(box, registry, box.claim_pending(owner, lambda batch: {}, only), page_of, owner)
            if not left.requests:
                break
            base = follow(box.champions, registry)
            time.sleep(chance.uniform(0.0, 1.0))  # in place of an hour of unlearning
            version = registered(model, findings_for(left.requests, base), NAME)
            time.sleep(chance.uniform(0.0, 0.5))
            if Settling(box, registry, version.version, page_of).settle(owner) != "overtaken":
                break
            overtaken += 1
        else:
            raise AssertionError(f"overtaken {ROUNDS} times")
    Path(f"{name}-overtaken").write_text(str(overtaken), encoding="utf-8")


def _count(place: str) -> dict[str, int]:
    """What became of a pair; in its home."""
    box, registry = Inbox(open_store(place)), Registry()
    entries = box.champions.entries()
    champions = [None, *(each.version for each in entries)]
    covers = [frozenset(), *(covered(entries, each.version) for each in entries)]
    lost = sum(
        each.replaces != before or not covers[place] <= covers[place + 1]
        for place, (each, before) in enumerate(zip(entries, champions, strict=False))
    )
    states = {each.id: box.state(each.id) for each in box.requests()}
    ends = {
        id: [event.status for event in state.history if event.status in set(Outcome)] for id, state in states.items()
    }
    champion = registry.champion()
    return {
        "versions": len(registry.history()),
        "overtaken": sum(int(file.read_text()) for file in Path().glob("*-overtaken")),
        "lost updates": lost,
        "double crownings": len(entries) - len({each.version for each in entries}),
        "not closed once": sum(end != [Outcome.FULFILLED] for end in ends.values()) + (len(states) != 2),
        "not covered": len({id for id, state in states.items() if state.outcome is Outcome.FULFILLED} - covers[-1]),
        "alias differs": int((champion.version if champion else None) != champions[-1]),
    }


def _database(home: Path) -> str:
    return f"sqlite:///{home}/mlflow.db"


def _started(work: Callable[[], object], home: Path) -> BaseProcess:
    def in_home() -> None:
        home.mkdir(exist_ok=True)
        os.chdir(home)
        os.environ["MLFLOW_TRACKING_URI"] = _database(home)
        work()

    process = _FORK.Process(target=in_home)
    process.start()
    return process


def _ended(process: BaseProcess) -> int:
    """Its exit status, negative for a signal."""
    process.join()
    assert process.exitcode is not None
    return process.exitcode
