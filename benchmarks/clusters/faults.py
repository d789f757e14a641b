"""What the main job does when pods, nodes, the cluster's API or logins fail, on the substitute for a cluster.

    python -m benchmarks.clusters.faults --out benchmarks/results/clusters/faults.md     an hour on two cores

Tiny models, real S3, MLflow with login, and ZenML; see ``tests/clusters/cluster.py`` for what the substitute does not
do. A fault strikes as soon as a step is at work; a run bears several. It heals, or its tick ends with a line and a next
tick, without the fault, fulfils the request; never are two processes at work on one step, or two pipelines on one
request, and no secret stands in an object or a log. Else the row says what is not so, and the exit status is 1. A table
that was begun goes on.
"""

import argparse
import os
import re
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.begun_table import read_rows, write_rows
from benchmarks.clusters import strikes
from benchmarks.clusters.job import Job, Watch
from infra.kubernetes.zenml_stack import find_stack
from infra.object_store import object_store
from tests.clusters.furnished import GPU, Furnished, furnished
from tests.tiny import make_tiny_pipeline

HEAD = ["run", "fault", "when at work", "seen", "attempts of the step", "fulfilled", "two at once", "second tick, s"]
# As ``jobs`` of a stack has them, with the tiny job's; the others are at work in the pipeline's own pod.
HEAVY = (
    "resolve_case", "look_for_targets", "draw_pool", "diversify_datasets", "cache_gradients", "unlearn", "evaluate",
)  # fmt: skip


@dataclass(frozen=True)
class Fault:
    """What is done to a run when a step is at work; it is left when the run has ended.

    Attributes:
        seen_at: the step whose attempts are told, if it is another.
    """

    name: str
    step: str
    strike: Callable[[Job, str], AbstractContextManager[None]]
    seen_at: str = ""


def in_pipeline(what: str, *steps: str) -> list[Fault]:
    """What is done to the pipeline's pod, as these steps are at work in it."""
    strike = {"killed": strikes.kill, "evicted": strikes.evict}[what]
    return [Fault(f"the pipeline's pod is {what}", step, strike) for step in steps]


IN_PIPELINE = [  # Of a run's pods three may be killed; evictions are not counted.
    *in_pipeline("killed", "collect_takedowns"),
    *in_pipeline("evicted", "finish_takedowns", "load_base_model", "close_absent"),
    Fault("the schedule's pod is killed", "draw_pool", strikes.kill_schedule),
    *in_pipeline("killed", "unlearn"),
    *in_pipeline("evicted", "gate", "gather_findings", "register_model", "settle_version"),
    *in_pipeline("killed", "purge_forbidden"),
]
# The faults that each run has to bear, in the order of its steps. In the last every heavy step has a pod of its own, in
# the others ``unlearn`` alone.
RUNS = (
    [
        Fault("the pipeline's pod is evicted", "draw_pool", strikes.evict),
        Fault("a tick while the former works", "unlearn", strikes.tick),
        Fault("the pipeline's pod is evicted", "write_report", strikes.evict),
    ],
    [
        Fault("the API answers 500 for 60 s", "unlearn", strikes.api_fails),
        Fault("the API does not answer for 60 s", "evaluate", strikes.api_silent),
    ],
    [Fault("the image cannot be pulled any more", "cache_gradients", strikes.image_gone, "unlearn")],
    [Fault("the pods' logins to the cluster expire", "unlearn", strikes.cluster_login_over)],
    [Fault("the run's login to ZenML expires", "unlearn", strikes.zenml_login_over)],
    IN_PIPELINE,
    [  # A step may be tried three times.
        *(Fault("the step's pod is killed", step, strikes.kill) for step in HEAVY[:5]),
        Fault("the image cannot be pulled for 20 s", "cache_gradients", strikes.image_away, "unlearn"),
        Fault("the step's pod is killed", "unlearn", strikes.kill),
        Fault("the step's node is gone", "unlearn", strikes.lose_node),
        Fault("the pipeline's pod is killed, the step's works on", "unlearn", strikes.kill_pipeline),
        Fault("the step's pod is killed", "evaluate", strikes.kill),
        Fault("the step's pod is evicted", "evaluate", strikes.evict),
    ],
)


def try_run(faults: Sequence[Fault], there: Furnished, number: int, stack: str) -> list[list[str]]:
    """Its rows."""
    # Where only the pipeline's pod is struck, that is as it begins a step, before the step has a pod of its own.
    own = HEAVY if faults is RUNS[-1] else () if faults is IN_PIPELINE else ("unlearn",)
    job, struck = Job(there, f"faults-{number}", stack, own), ExitStack()
    with Watch(job).looking() as watch, struck:
        tick = job.fire()
        for fault in faults:
            if job.until_at_work(fault.step, tick):
                struck.enter_context(fault.strike(job, fault.step))
        ending = job.wait(tick)
        attempts = [job.attempts(fault.seen_at or fault.step) for fault in faults]
        struck.close()
        said, fulfilled = job.last_line(tick), "yes" if job.fulfilled() else ""
        if not fulfilled:
            job.until_pending()
            job.wait(job.fire())
            fulfilled = "after the next tick" if job.fulfilled() else f"no: {job.last_line(job.ticks[-1])}"
    seen = "healed" if (ending, fulfilled) == ("Complete", "yes") else f"ended: {said}"
    seen += "; a secret is told" if told_secret(there) else ""
    twice = ", ".join(sorted(watch.twice)) or "never"
    return [
        [
            str(number + 1),
            fault.name,
            fault.step,
            _cell(seen),
            str(tried),
            _cell(fulfilled),
            twice,
            f"{job.second:.1f}" if fault.strike is strikes.tick else "",
        ]
        for fault, tried in zip(faults, attempts, strict=True)
    ]


def _cell(text: str) -> str:
    return text.replace("|", "/")


def told_secret(there: Furnished) -> bool:
    """Whether a secret's value, or a token of ZenML's, stands in an object or a log."""
    told = there.told()
    return any(each in told for each in there.secrets) or bool(re.search(r"eyJ[\w-]+\.eyJ[\w-]+\.[\w-]+", told))


def main() -> None:
    """Run, print each row, and write the table down."""
    parser = argparse.ArgumentParser(description="The main job while a cluster fails.")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    rows = read_rows(options.out)
    done = {row[0] for row in rows}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        home = Path(folder)
        os.environ |= {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "only-here-and-now"}
        os.environ |= {"AWS_DEFAULT_REGION": "us-east-1", "HF_HUB_OFFLINE": "1"}
        os.environ["AWS_ENDPOINT_URL"] = endpoint = stack.enter_context(object_store(home / "s3"))
        model = make_tiny_pipeline(home / "model")
        there = stack.enter_context(furnished(home / "there", endpoint, model, {"unlearn": GPU}, start_minutes=1))
        os.environ |= there.environment
        usual, apart = find_stack(there.settings), there.stack("apart", HEAVY)  # now, for logins will end
        for number, faults in enumerate(RUNS):
            if str(number + 1) in done:
                continue
            found = try_run(faults, there, number, apart if faults is RUNS[-1] else usual)
            rows = sorted(rows + found, key=lambda row: int(row[0]))
            write_rows(options.out, "The main job while a cluster fails.", HEAD, rows)
            print(*(" · ".join(row) for row in rows if row[0] == str(number + 1)), sep="\n", flush=True)
    sys.exit(any(row[6] != "never" or row[5] not in ("yes", "after the next tick") for row in rows))


if __name__ == "__main__":
    main()
