"""How a benchmark's numbers came about, in sentences: what all rows share, and what each has of its own."""

from expunge.benchmark.benchmark_settings import BenchmarkSettings, MethodEntry
from expunge.benchmark.cell import CellResult
from expunge.benchmark.runner import BenchmarkResults
from expunge.benchmark.verdicts import MATTERS
from expunge.metrics.units import COSINE, SHARE


def notes(results: BenchmarkResults) -> list[str]:
    """A line for everything that a reader of the table has to know."""
    s, e = results.settings, results.settings.evaluation
    features = next((each.frechet_features for each in results.cells if each.frechet_features), "not measured")
    changes = "A seed changes batches, noise and timesteps"
    pictures = ", and the pictures judged; data stay." if s.evaluation_varies else "; data and pictures judged stay."
    said = [*budgets(results), *own_settings(s)]
    said += [
        f"{len(s.targets)} targets ({', '.join(f'{each.kind} {each.name}' for each in s.targets)}) and "
        f"{len(s.seeds)} seeds. {changes}{pictures}",
        "Intervals: t over the targets' means, cut at what is possible. Where all cells agree an interval has no "
        "width; that is no certainty. Differences are paired by target and seed, changes by prompts and noise.",
        "A difference is higher or lower where its t test over targets says so at 5 %, corrected by Holm for all rows "
        f"of its column. There is no difference where all of its interval is below {100 * MATTERS[SHARE]:g} points, or "
        f"{MATTERS[COSINE]:g} of a cosine; else it is not decided.",
        f"Evaluation, reduced: {e.target_pictures} pictures of the target, {e.held_out_pictures} held-out and "
        f"{e.train_pictures} train-level ones over the world, those that ask for the target left out; "
        f"{e.drawing.steps} sampling steps. FD features: {features}.",
        f"A check draws {s.check.pictures} pictures of the target, train-level prompts. Checks count neither as passes "
        "nor as seconds; the column Checks counts them.",
        "Passes and seconds of the cached gradients at θ₀ count for the rows that read them, also to measure a "
        "learning rate."
        if s.count_cache
        else "Passes and seconds of the cached gradients at θ₀ do not count.",
        "Steps against first order: by the gradients of the step's own batches, for every row alike; not given where "
        "a method does not know both. What a method with momentum guarantees, it does of averaged gradients.",
    ]
    if s.relearning:
        said.append(
            f"UA, relearned: a copy is fine-tuned with Adam on {s.relearning.pictures[0]} pictures of the forget set, "
            f"{s.relearning.steps} steps of {s.relearning.batch_size} at {s.relearning.learning_rate:g}, and judged by "
            f"{s.relearning.measured} held-out pictures every {s.relearning.measure_every} steps."
        )
    return [*said, *_tuning(s)]


def budgets(results: BenchmarkResults) -> list[str]:
    """What each comparison lets a run do, and by which rule each row ends."""
    s, said = results.settings, []
    for comparison, passes in s.comparisons.items():
        if comparison == "equal_budget":
            said.append(
                f"Equal budget: {passes} passes for every row, as far as they divide into its steps. No check ends a "
                "run, and no row has a pace."
            )
            continue
        cells = [each for each in results.cells if each.comparison == comparison]
        rules: dict[str, list[str]] = {}
        for entry in s.entries:
            rules.setdefault(stopping_rule(s, entry, cells), []).append(entry.name)
        said.append(
            f"Equal forgetting: up to {passes} passes, with a check about every {s.check_passes} at the latest; what "
            "ends a run before that is its row's own rule. "
            + " ".join(f"{', '.join(names)}: {rule}." for rule, names in rules.items())
        )
    return said


def stopping_rule(settings: BenchmarkSettings, entry: MethodEntry, cells: list[CellResult]) -> str:
    """What ends a row's runs at equal forgetting, with the steps between checks as they were in these cells."""
    how = settings.unlearn_settings(entry)
    looks = sorted({e.check_every for e in cells if e.method == entry.name and e.check_every is not None})
    rules = [how.model_copy(update={"check_every": every}).stopping_rule for every in looks] or [how.stopping_rule]
    return " or ".join(dict.fromkeys((rules[0], rules[-1])))


def own_settings(settings: BenchmarkSettings) -> list[str]:
    """A line about everything that only some rows have."""
    said = []
    for entry in settings.entries:
        own = {**entry.unlearning, **entry.options}
        words = [f"{name} {_short(value)}" for name, value in own.items()]
        words += ["learning rate measured at θ₀ for each target"] if entry.learning_rate == "measured" else []
        words += [f"learning rate {entry.learning_rate:g}"] if isinstance(entry.learning_rate, float) else []
        words += [f"at most {entry.max_steps} steps"] if entry.max_steps else []
        if words:
            said.append(f"{entry.name}: {', '.join(words)}")
    if not said:
        return ["All rows have the same retain loss, pace and way to a learning rate."]
    return [f"All rows share data, budget and evaluation; what a row has of its own: {'; '.join(said)}."]


def _short(value: object) -> str:
    if value == {}:
        return "by default"
    if isinstance(value, dict):
        return f"({', '.join(f'{name} {_short(each)}' for name, each in value.items())})"
    return f"{value:g}" if isinstance(value, float) else "none" if value is None else str(value)


def _tuning(s: BenchmarkSettings) -> list[str]:
    if not s.tuning:
        return []
    return [
        f"Learning rates: {', '.join(f'{rate:g}' for rate in s.tuning.learning_rates)} tried for every method without "
        f"one of its own on {', '.join(f'{each.kind} {each.name}' for each in s.tuning.targets)}, seed "
        f"{s.tuning.seed}, {s.tuning.comparison.replace('_', ' ')}; of those whose UA reached "
        f"{SHARE.value(s.tuning.unlearning_accuracy_at_least)} the one with the highest RA was taken, else the one "
        "with the highest UA."
    ]
