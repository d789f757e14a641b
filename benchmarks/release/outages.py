"""What the main job does when a store fails, the disk is full, or it is killed itself, when a step starts.

    python -m benchmarks.release.outages --out benchmarks/results/inbox/outages.md     two hours; as root

Tiny models, real S3, MLflow and ZenML, each run in a process of its own (``tests/infra/outage.py``). Gone for 60 s,
otherwise for 15 s; the disk until the run ends. A run heals, or stops with one line and a second run without a fault
ends what it left. Then the request is fulfilled, one version crowned, and one certificate there, or the row says what
is not so and the exit status is 1. A table that was begun goes on.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.begun_table import read_rows, write_rows
from infra.object_store import object_store
from tests.infra.faulty_proxy import Fault, FaultyProxy
from tests.infra.outage import STEPS, Ended, Job, failing, full, killed, servers, small_disk

HEAD = ["store", "fault", "from step", "seen", "seconds from the fault to the end", "then"]
SECONDS = {Fault.GONE: 60.0}  # 15 of the others
BRIEFLY = ("collect_takedowns", "draw_pool", "unlearn", "register_model", "settle_version", "purge_forbidden")
OF_MLFLOW = ("finish_takedowns", "load_base_model", "unlearn", "register_model", "settle_version", "purge_forbidden")


@dataclass(frozen=True)
class Case:
    """A fault of a store, from a step on."""

    store: str
    fault: str
    step: str

    @property
    def name(self) -> str:
        """Of what belongs to this case alone."""
        return f"outage-{self.store}-{self.fault}-{self.step}".replace("_", "-").replace(" ", "-")


def cases() -> Iterator[Case]:
    """All that the table has: S3 gone at every step, else where a store is used for more than one thing."""
    for fault in Fault:
        for step in STEPS if fault is Fault.GONE else BRIEFLY:
            yield Case("s3", fault.value, step)
        for step in OF_MLFLOW:
            yield Case("mlflow", fault.value, step)
    for step in BRIEFLY:
        yield Case("disk", "full", step)
    for step in STEPS:
        yield Case("the run", "kill -9", step)


def try_case(case: Case, home: Path, proxies: dict[str, FaultyProxy]) -> list[str]:
    """A row."""
    if case.store == "disk":
        with small_disk(home / case.name) as disk:  # at another place each: MLflow holds on to a database by its path
            job = Job.prepare(disk / "job", "inbox", case.name)
            return _row(case, job, job.run(case.step, full(disk)))
    job = Job.prepare(home / case.name, f"s3://expunge/{case.name}/inbox", case.name)
    if case.store == "the run":
        return _row(case, job, job.run(case.step, killed(job)))
    fault = Fault(case.fault)
    return _row(case, job, job.run(case.step, failing(proxies[case.store], fault), SECONDS.get(fault, 15.0)))


def _row(case: Case, job: Job, ended: Ended) -> list[str]:
    seen, then = "healed", ""
    if ended.status:
        seen, again = ended.line if ended.status > 0 else "killed", job.run()
        then = "the next run ended it" if again.status == 0 else f"the next run: {again.line}"
    problems = job.problems()
    return [case.store, case.fault, case.step, seen, f"{ended.seconds:.0f}", "; ".join([then, *problems]).strip("; ")]


def main() -> None:
    """Run, print each row, and write the table down."""
    parser = argparse.ArgumentParser(description="The main job while stores fail.")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    rows = read_rows(options.out)
    done = {tuple(row[:3]) for row in rows}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        home = Path(folder)
        os.environ |= {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "only-here", "HF_HUB_OFFLINE": "1"}
        os.environ |= {"AWS_DEFAULT_REGION": "us-east-1", "ZENML_ANALYTICS_OPT_IN": "false"}
        os.environ |= {"ZENML_CONFIG_PATH": str(home / "config"), "ZENML_REPOSITORY_PATH": str(home)}
        from zenml.client import Client

        Client.initialize(home)
        proxies = stack.enter_context(servers(stack.enter_context(object_store(home / "s3")), home / "mlflow"))
        for case in cases():
            if (case.store, case.fault, case.step) in done:
                continue
            rows.append(try_case(case, home, proxies))
            print(*rows[-1], sep=" · ", flush=True)
            write_rows(options.out, "The main job while a store fails.", HEAD, rows)
    sys.exit(any(row[5] not in ("", "the next run ended it") for row in rows))


if __name__ == "__main__":
    main()
