"""Whether anything is lost or crowned twice when two runs overlap, on a folder and on a real S3 server.

    python -m benchmarks.release.overlaps --out benchmarks/results/inbox/overlaps-folder.md     200 pairs, 20 minutes
    python -m benchmarks.release.overlaps --store s3 --out benchmarks/results/inbox/overlaps-s3.md

Each pair has an inbox and a registry of its own and runs as ``tests/release/overlap.py`` says: tiny model, made numbers
that pass the gate, real champion log, claims, MLflow, signatures and certificates. In every second pair one run is
killed by SIGKILL and started again. What must be 0 is 0 in every row, or the table says so and the exit status is 1.
"""

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.release.stores import STORES, place_on
from expunge.benchmark.machine import command, machine_line
from expunge.markdown import markdown_table

MUST_BE_NONE = (
    "lost updates", "double crownings", "not closed once", "not covered", "alias differs", "runs that failed",
)  # fmt: skip


def run_pairs(store: str, place: str, pairs: int, minutes: float, home: Path, blank: Path, model) -> dict[str, float]:
    """Sums over all pairs."""
    from tests.release.overlap import run_pair

    sums: dict[str, float] = {"pairs": 0, "pairs with a kill": 0, "pairs with one overtaken": 0}
    seconds = []
    start = time.perf_counter()
    for number in range(pairs):
        if time.perf_counter() - start > 60 * minutes:
            break
        began, here = time.perf_counter(), home / f"{store}-{number}"
        counts = run_pair(blank, here, f"{place}/{number}", model, number, killed=number % 2 == 1)
        seconds.append(time.perf_counter() - began)
        shutil.rmtree(here)
        if wrong := {what: counts[what] for what in MUST_BE_NONE if counts[what]}:
            print(f"pair {number}, {store}: {wrong}", file=sys.stderr, flush=True)
        sums["pairs"] += 1
        sums["pairs with a kill"] += counts.pop("killed") > 0
        sums["pairs with one overtaken"] += counts.pop("overtaken") > 0
        for what, count in counts.items():
            sums[what] = sums.get(what, 0) + count
    return sums | {"seconds a pair, median": round(statistics.median(seconds), 1)}


def main() -> None:
    """Run, print, and write the table down."""
    parser = argparse.ArgumentParser(description="Pairs of overlapping runs.")
    parser.add_argument("--store", choices=STORES, default="folder")
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=120, help="no pair begins later; the table says how many did")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    os.environ |= {"MLFLOW_DISABLE_TELEMETRY": "true", "HF_HUB_OFFLINE": "1"}  # before their packages are imported
    import torch

    from expunge.models.families.stable_diffusion import StableDiffusion
    from tests.release.overlap import prepare
    from tests.tiny import make_tiny_pipeline

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        model = StableDiffusion.load(make_tiny_pipeline(home / "model"))
        blank = prepare(home, model)
        with place_on(options.store, home) as place:
            sums = run_pairs(options.store, place, options.pairs, options.minutes, home, blank, model)
    rows = [[f"{name} (must be 0)" if name in MUST_BE_NONE else name, f"{sums[name]:g}"] for name in sums]
    text = f"Pairs of overlapping runs: {options.store}. `{command()}`\n\n{markdown_table(['what', 'count'], rows)}\n\n"
    text += f"{machine_line()}\n"
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(text, encoding="utf-8")
    print(text)
    sys.exit(any(sums[name] for name in MUST_BE_NONE))


if __name__ == "__main__":
    main()
