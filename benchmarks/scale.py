"""Where inbox and champion log stop scaling: a long history, many pending requests, many models, measured.

    python benchmarks/scale.py --folder /tmp/scale --history 10000 100000 1000000 --out benchmarks/results/scale.md

Of each size an inbox is really made in a folder: requests that one model's runs claimed and closed, with a certificate
of 3 kB each, one in a hundred as many that are pending, twelve crownings of that model, which share all of them, and as
many of each other model, which share a part. The second table has champion logs alone, of a hundred crownings each.
Files are written without waiting for the disk, which changes nothing for what is measured. Each operation is a process
of its own, made by forking, so that imports do not count: seconds of CPU, user and system together, and its memory at
its highest. What is larger than the largest size that was run is reckoned from that one, in proportion, and says so.
"""

import argparse
import multiprocessing
import resource
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from expunge.errors import ExpungeError
from expunge.markdown import markdown_table
from expunge.takedown.champion_log import ChampionLog, Crowning
from expunge.takedown.inbox import Inbox
from expunge.takedown.life_cycle import Outcome, RequestState
from expunge.takedown.object_store import open_store
from expunge.takedown.request import Kind, TakedownRequest
from expunge.takedown.request_file import dump_request
from expunge.takedown.standing import next_runs, standing

OWNER = "far-away:1:run"
MODEL = "model-0"
CROWNINGS = 12
GOAL = 1_000_000
NOW = datetime(2026, 1, 1, tzinfo=UTC)
LOGS = (100_000, 300_000, 1_000_000)  # requests in a log of its own
MANY = 100  # crownings in it
OPERATIONS: dict[str, Callable[[Inbox], object]] = {  # the last one changes the inbox
    "first list": lambda box: box.requests(),
    "list": lambda box: box.requests(),
    "tick": next_runs,
    "status": lambda box: standing(box.requests(), MODEL, CROWNINGS, NOW + timedelta(days=60)),
    "champion": lambda box: box.champions.current(),
    "all that it has forgotten": lambda box: box.champions.covered_by(CROWNINGS),
    "line of champions": lambda box: box.champions.line(CROWNINGS),
    "claim of all that is pending": lambda box: box.claim_pending("another:1:run", lambda batch: {}),
}


@dataclass(frozen=True)
class Measured:
    """One operation.

    Attributes:
        seconds: of CPU.
        mebibytes: at its highest, beyond what the process had before.
        problem: why it was refused, or empty.
    """

    seconds: float
    mebibytes: float
    problem: str = ""

    def __str__(self) -> str:
        return "refused" if self.problem else f"{self.seconds:.3g} s, {self.mebibytes:.0f} MiB"


def fill(folder: Path, history: int, pending: int, models: int) -> None:
    """Make the inbox of one size. Every object is one that Expunge would have written, but for its number."""
    ids = [f"style-artist-{number}" for number in range(history + pending)]
    request = TakedownRequest(id=ids[0], kind=Kind.STYLE, target="artist 0", requester="an office", filed_at=NOW)
    asked = dump_request(request).decode()
    claimed = RequestState().claimed(OWNER, NOW, {f"{request.id}.yaml": "0" * 64})
    states = (claimed, claimed.closed(Outcome.FULFILLED, NOW, "", {"text": "x" * 3000}))
    dumped = [each.model_dump_json() for each in states]
    for number, each in enumerate(ids):
        text = asked.replace(request.id, each).replace("artist 0", f"artist {number}")
        (folder / f"{each}.yaml").write_text(text, encoding="utf-8")
        if number < history:
            (below := folder / f".models/{MODEL}/requests/{each}").mkdir(parents=True)
            for step, state in enumerate(dumped, 1):
                (below / f"{step:06d}.json").write_text(state.replace(request.id, each), encoding="utf-8")
    for model in range(models):
        fill_log(folder / f".models/model-{model}/champions", ids[model:history:models] if model else ids[:history])


def fill_log(folder: Path, ids: Sequence[str], crownings: int = CROWNINGS) -> None:
    """Make a champion log: so many crownings, each on top of the one before, which share the requests."""
    folder.mkdir(parents=True)
    for version in range(1, crownings + 1):
        adds = tuple(ids[len(ids) * (version - 1) // crownings : len(ids) * version // crownings])
        crowning = Crowning(version=version, replaces=version - 1 or None, adds=adds, why="promotion", by=OWNER, at=NOW)
        (folder / f"{version:06d}.json").write_text(crowning.model_dump_json(), encoding="utf-8")


def measured(work: Callable[[], object]) -> Measured:
    """Do something in a process of its own."""
    context = multiprocessing.get_context("fork")
    reader, writer = context.Pipe(duplex=False)
    process = context.Process(target=_measure, args=(work, writer))
    process.start()
    found = reader.recv()
    process.join()
    return found


def _measure(work: Callable[[], object], writer) -> None:
    before, began, problem = _peak(), time.process_time(), ""
    try:
        work()
    except ExpungeError as error:
        problem = str(error)
    writer.send(Measured(time.process_time() - began, _peak() - before, problem))


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def one_size(folder: Path, history: int, pending: int, models: int) -> Iterator[tuple[str, Measured]]:
    """Each operation on an inbox of that size, which is made anew and removed."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    fill(folder, history, pending, models)
    time.sleep(2.1)  # the index trusts no file that was written in this very moment
    for name, operation in OPERATIONS.items():
        box = Inbox(open_store(folder), MODEL, lease=timedelta(days=10_000))
        yield name, measured(lambda box=box, operation=operation: operation(box))
        if name == "champion":
            boxes = [Inbox(open_store(folder), f"model-{model}") for model in range(models)]
            yield (
                f"champions of {models} models",
                measured(lambda boxes=boxes: [each.champions.current() for each in boxes]),
            )
        if name == "first list":
            for what in ("requests", "states"):
                parts = (folder / f".models/{MODEL}/index").glob(f"{what}*.json")
                yield f"index of {what}, MiB", Measured(0, sum(each.stat().st_size for each in parts) / 2**20)
    shutil.rmtree(folder)


def logs(folder: Path, sizes: Sequence[int] = LOGS) -> Iterator[tuple[int, float, Measured, Measured]]:
    """Champion logs: how many requests, the largest entry in MiB, and what reading all takes first and then."""
    for size in sizes:
        shutil.rmtree(folder, ignore_errors=True)
        fill_log(log := folder / f".models/{MODEL}/champions", [f"style-artist-{each}" for each in range(size)], MANY)
        time.sleep(2.1)
        largest = max(each.stat().st_size for each in log.iterdir()) / 2**20
        first, then = (measured(lambda: ChampionLog(open_store(folder), MODEL).covered_by(MANY)) for _ in range(2))
        yield size, largest, first, then
    shutil.rmtree(folder)


def written(options: argparse.Namespace) -> str:
    """The whole table, as Markdown."""
    sizes: dict[int, dict[str, Measured]] = {}
    for history in options.history:
        sizes[history] = {}
        for name, found in one_size(options.folder, history, history // 100, options.models):
            sizes[history][name] = found
            print(f"{history:>9,} {name}: {found} {found.problem}", flush=True)
    largest = max(sizes)
    head = ["", *(f"{each:,}" for each in sizes)] + ([f"{GOAL:,}, reckoned"] if largest < GOAL else [])
    rows = []
    for name, last in sizes[largest].items():
        found = [sizes[each][name] for each in sizes]
        cells = [f"{each.mebibytes:.1f}" if "MiB" in name else str(each) for each in found]
        rows.append([name, *cells, *([_reckoned(name, last, GOAL / largest)] if largest < GOAL else [])])
    log = [[f"{size:,}", f"{largest:.2f}", str(one), str(two)] for size, largest, one, two in logs(options.folder)]
    from expunge.benchmark.machine import command, machine_line  # imports torch, which no process above is to have

    return "\n".join(
        [
            f"Inboxes in a folder, one request pending for every hundred in history, {options.models} models; "
            f"`{command()}`.\n",
            markdown_table(head, rows),
            f"\nChampion logs of {MANY} crownings:\n",
            markdown_table(["requests", "largest entry, MiB", "first reading", "reading"], log),
            f"\n{machine_line()}\n",
        ]
    )


def _reckoned(name: str, found: Measured, times: float) -> str:
    if "MiB" in name:
        return f"{found.mebibytes * times:.0f}"
    return str(Measured(found.seconds * times, found.mebibytes * times, found.problem))


def main() -> None:
    """Make, measure, write."""
    parser = argparse.ArgumentParser(description="Where inbox and champion log stop scaling.")
    parser.add_argument("--folder", type=Path, required=True, help="is removed, made and removed again")
    parser.add_argument("--history", type=int, nargs="+", default=[1000, 10_000, 100_000, GOAL])
    parser.add_argument("--models", type=int, default=100)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/scale.md"))
    options = parser.parse_args()
    options.out.write_text(written(options), encoding="utf-8")


if __name__ == "__main__":
    main()
