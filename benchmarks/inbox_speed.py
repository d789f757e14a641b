"""What listing, filing, an empty claim, status and tick cost in an inbox of many requests, beside an earlier checkout.

    python benchmarks/inbox_speed.py --place inbox --before ../earlier --json benchmarks/results/inbox/folder.json
    python benchmarks/inbox_speed.py --place s3://expunge/bench --sizes 100 1000       a server as boto3 finds it

Three of four requests are closed, each with a claim before and a certificate of 3 kB; the others are held by another
host, so that nothing can be claimed. Each operation is a process of its own: seconds of CPU, user and system together,
from an opened inbox to the result, imports excluded. The checkouts take turns, so that other work on the machine hits
both alike; it raises all seconds, so read the ratios. The first listing, which writes the index, is not counted. A tick
is what ``expunge retrain`` does before it starts anything, and ``expunge status`` is what it prints as JSON.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from expunge.benchmark.machine import command, machine
from expunge.takedown.life_cycle import Outcome, RequestState
from expunge.takedown.object_store import open_store
from expunge.takedown.request import Kind, TakedownRequest
from expunge.takedown.request_file import dump_request

ROOT = Path(__file__).resolve().parent.parent
OWNER = "far-away:1:run"
WHAT = ("list", "file", "claim", "status", "tick")
TIMED = """
import sys, time
from datetime import UTC, datetime, timedelta
import psutil
from expunge.takedown.inbox import Inbox
from expunge.takedown.object_store import open_store
what, place = sys.argv[1:]
inbox = Inbox(open_store(place), lease=timedelta(days=1000))
began = time.process_time()
if what == "list":
    inbox.requests()
elif what == "file":
    inbox.file(kind="style", target="artist 3")
elif what in ("status", "tick"):
    from expunge.takedown.standing import next_runs, standing
    began = time.process_time()
    if what == "tick":
        next_runs(inbox)
    else:
        champion, entries = inbox.champions.current(), inbox.requests()
        standing(entries, "expunge-zoo", champion and champion.version, datetime.now(UTC)).model_dump_json()
else:
    assert inbox.claim_pending("another:1:run", lambda batch: {}).requests == ()
print(time.process_time() - began)
"""


def fill(place: str, count: int) -> None:
    """Requests and states, unless they are there."""
    store, now = open_store(place), datetime.now(UTC)
    if store.list("style-artist-0.yaml"):
        return
    for number in range(count):
        filed = now - timedelta(days=30) + timedelta(minutes=number)
        request = TakedownRequest(
            id=f"style-artist-{number}",
            kind=Kind.STYLE,
            target=f"artist {number}",
            requester="an office",
            filed_at=filed,
        )
        state = RequestState().claimed(OWNER, now, {f"{request.id}.yaml": "0" * 64})
        store.create(f"{request.id}.yaml", dump_request(request))
        states = [state]
        if number % 4 != 3:
            states.append(state.closed(Outcome.FAILED, now, "the gate was not passed", {"text": "x" * 3000}))
        for step, each in enumerate(states, 1):
            key = f".models/expunge-zoo/requests/{request.id}/{step:06d}.json"
            store.create(key, each.model_dump_json().encode())


def seconds_of(what: str, place: str, checkout: Path) -> float:
    """CPU of one operation by the code of a checkout. Raises CalledProcessError if it fails."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", TIMED, what, place],  # not what lies in the working directory
        capture_output=True, encoding="utf-8", check=True, env=os.environ | {"PYTHONPATH": str(checkout.resolve())},
    )  # fmt: skip
    return float(done.stdout)


def main() -> None:
    """Fill, measure, print, and write JSON if asked."""
    parser = argparse.ArgumentParser(description="Seconds of CPU in an inbox of many requests.")
    parser.add_argument("--place", required=True, help="a folder or s3://BUCKET/PREFIX; kept")
    parser.add_argument("--before", type=Path, help="a checkout of the code to compare with")
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 1000, 10_000])
    parser.add_argument("--what", nargs="+", choices=WHAT, default=WHAT)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    checkouts = {"now": ROOT} | ({"before": options.before} if options.before else {})
    found: dict[str, dict] = {}
    for size in options.sizes:
        place = f"{options.place.rstrip('/')}/{size}"
        fill(place, size)
        seconds_of("list", place, ROOT)
        for what in options.what:
            runs: dict[str, list[float]] = {name: [] for name in checkouts}
            for _ in range(options.repeats):
                for name, checkout in checkouts.items():
                    runs[name].append(round(seconds_of(what, place, checkout), 4))
            row: dict[str, object] = {"seconds": runs, "median": {k: statistics.median(v) for k, v in runs.items()}}
            if "before" in runs:
                ratios = sorted(b / n for b, n in zip(runs["before"], runs["now"], strict=True))
                row["before_over_now"] = [round(each, 1) for each in (ratios[0], statistics.median(ratios), ratios[-1])]
            found[f"{what} of {size}"] = row
            print(f"{what:6}{size:7}", row["median"], "times faster, least, median, most:", row.get("before_over_now"))
            if options.json:
                options.json.parent.mkdir(parents=True, exist_ok=True)
                facts = machine() | {"command": command()}
                options.json.write_text(json.dumps({"facts": facts, "rows": found}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
