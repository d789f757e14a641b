"""Whether each of many requests is closed once, whoever of its claimers dies, on two hosts.

    python -m benchmarks.release.claims --out benchmarks/results/inbox/claims.md          1,000 requests, six minutes
    python -m benchmarks.release.claims --store s3 --out benchmarks/results/inbox/claims-s3.md

Requests arrive for two minutes. Eight claimers, four of each host, work on them as ``tests/takedown/claimers.py`` says;
some are killed by SIGKILL and replaced, some are frozen for longer than the lease, which is the product's. What must be
0 is 0 in every row, or the exit status is 1.

``worked on too often``: more claimers began to work on a request than one, and one more for each of them that was
killed or frozen.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.release.stores import STORES, place_on
from expunge.benchmark.machine import command, machine_line
from expunge.markdown import markdown_table
from expunge.takedown.heartbeat import LEASE
from tests.takedown.claimers import Trial, run_trial

MUST_BE_NONE = (
    "worked on too often", "not closed exactly once", "not covered", "double crownings", "claimers that failed",
)  # fmt: skip
LONGEST = "longest until taken over, s"
BAR = 300  # seconds


def main() -> None:
    """Run, print, and write the table down."""
    parser = argparse.ArgumentParser(description="Many claimers, random kills.")
    parser.add_argument("--store", choices=STORES, default="folder")
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--claimers", type=int, default=8)
    parser.add_argument("--kills", type=int, default=24)
    parser.add_argument("--freezes", type=int, default=4)
    parser.add_argument("--arriving", type=float, default=120, help="seconds")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, place_on(options.store, Path(folder)) as place:
        logs = Path(folder, "logs")
        logs.mkdir()
        trial = Trial(
            place=place,
            logs=logs,
            requests=options.requests,
            claimers=options.claimers,
            kills=options.kills,
            freezes=options.freezes,
            lease=LEASE,
            arriving=options.arriving,
            work=4.0,
        )
        found = run_trial(trial)
    bars = dict.fromkeys(MUST_BE_NONE, " (must be 0)") | {LONGEST: f" (must be below {BAR})"}
    table = markdown_table(["what", "count"], [[f"{name}{bars.get(name, '')}", f"{found[name]:g}"] for name in found])
    text = (
        f"Claims of {options.claimers} claimers on two hosts, a lease of {LEASE.total_seconds():g} s. `{command()}`\n"
    )
    text += f"\n{table}\n\n{machine_line()}\n"
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(text, encoding="utf-8")
    print(text)
    sys.exit(any(found[name] for name in MUST_BE_NONE) or found[LONGEST] >= BAR)


if __name__ == "__main__":
    main()
