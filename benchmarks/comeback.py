"""Does a forgotten target come back? Several ways to unlearn, a text filter, and a model that never saw the target.

    python benchmarks/comeback.py --target cat                              about five minutes a method on one core
    python benchmarks/comeback.py --target cat --never-saw .expunge/never-saw-cat/emoji
    python benchmarks/comeback.py --kind style --target twemoji --passes 60 --profile full

Every method unlearns the same data from the zoo model until its own stopping rule ends the run or its passes are spent.
Ours has the pace and the distance to the original's prediction as retain loss, and measures its learning rate; the
others have the data loss, no pace, and the rate given here. The model that never saw the target is made by

    python benchmarks/never_saw.py --leave-out cat
"""

import argparse
import time
from pathlib import Path

from expunge.benchmark.bench import Bench, Materials
from expunge.benchmark.benchmark_settings import BenchmarkSettings, MethodEntry, TargetEntry
from expunge.benchmark.machine import command, machine
from expunge.benchmark.run_cell import made, step_cost
from expunge.benchmark.runner import cell_of
from expunge.comeback.comeback_report import NEVER_SAW
from expunge.comeback.comeback_settings import PROFILES
from expunge.comeback.comeback_table import as_markdown
from expunge.comeback.hiding import text_filter
from expunge.comeback.try_comeback import try_comeback
from expunge.models.resolver import load_text_to_image
from expunge.models.text_to_image import TextToImage
from expunge.unlearning.methods import get_method, method_names
from expunge.unlearning.methods.closed_form import ClosedForm

OURS = "stepping_metric"
METHODS = (OURS, "gradient_difference", "erased_stable_diffusion", "concept_ablation")


def zoo_bench(options: argparse.Namespace, entries: tuple[MethodEntry, ...], target: TargetEntry) -> Bench:
    """The zoo, and what all methods share."""
    settings = BenchmarkSettings.model_validate(
        {
            "methods": [entry.model_dump() for entry in entries],
            "targets": [target.model_dump()],
            "compare_with": entries[0].name,
            "comparisons": {"equal_forgetting": options.passes},
            "unlearning": {
                "learning_rate": options.learning_rate,
                "retain_batch_size": 16,
                "stop_at": 0.95,
                "alignment": "data",
                "pace": None,
            },
            "check": {"pictures": 20, "steps": 6},
            "diversification": {"pool_per_stratum": 1},
        }
    )
    return Bench.named("zoo", "zoo", "zoo", settings)


def model_of(entry: MethodEntry, bench: Bench, materials: Materials) -> tuple[TextToImage, str]:
    """The model that a method makes within a budget of passes, and what it took, in words."""
    cell = cell_of(bench.settings, entry, bench.settings.targets[0], 0, "equal_forgetting", {})
    done = made(cell, bench, materials, step_cost(cell, bench, materials))
    spent = done.cache_passes + sum(row.passes for row in done.trace.rows)
    return done.model, f"{len(done.trace.rows)} steps, {spent:.0f} passes, stopped by {done.trace.stopped}"


def arguments() -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description="Does a forgotten target come back?")
    parser.add_argument("--kind", choices=("object", "style"), default="object")
    parser.add_argument("--target", default="cat")
    parser.add_argument("--methods", nargs="+", choices=method_names(), default=list(METHODS), metavar="METHOD")
    parser.add_argument("--passes", type=int, default=160, help="at most, for each method")
    parser.add_argument("--learning-rate", type=float, default=2e-4, help="of all but ours, which is measured")
    parser.add_argument("--never-saw", default="", help="folder of a model that never saw the target")
    parser.add_argument("--profile", choices=list(PROFILES), default="quick")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/comeback.md"))
    options = parser.parse_args()
    if options.passes < 1:
        parser.error(f"--passes is {options.passes}: must be at least 1")
    return options


def main() -> None:
    """Unlearn, test, and write the table down."""
    options = arguments()
    entries = tuple(
        MethodEntry(
            method=name,
            max_steps=1 if issubclass(get_method(name), ClosedForm) else None,
            learning_rate="measured" if name == OURS else None,
            unlearning={"alignment": "original", "pace": {}} if name == OURS else {},
        )
        for name in dict.fromkeys(options.methods)
    )
    never = {NEVER_SAW: load_text_to_image(options.never_saw)} if options.never_saw else {}
    bench = zoo_bench(options, entries, TargetEntry(kind=options.kind, name=options.target))
    target = bench.settings.targets[0].resolve(bench.case.world)
    materials = Materials.of(bench, target)
    models: dict[str, TextToImage] = {"text filter": text_filter(bench.model, target, bench.case)}
    notes = []
    for each in entries:
        models[each.name], took = model_of(each, bench, materials)
        notes.append(f"{each.name}: {took}")
    started, profile = time.perf_counter(), PROFILES[options.profile]
    report = try_comeback(bench.model, models | never, bench.case, target, profile, materials.forget)
    if report.untested:
        raise SystemExit(report.untested)
    facts = {
        **machine(),
        "command": command(),
        "settings": report.settings.model_dump_json(),
        "seconds": f"{time.perf_counter() - started:.0f} for the tests of {len(report.models)} models",
    }
    parts = [
        f"# Does it come back? Target: {target.kind.value} {target.name}",
        "\n".join(f"- {name}: {value}" for name, value in facts.items()),
        as_markdown(report),
        "## How the models were made",
        "\n".join(f"- {note}" for note in notes),
    ]
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text("\n\n".join(part.strip() for part in parts) + "\n", encoding="utf-8")
    print(options.output.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
