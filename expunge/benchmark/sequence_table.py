"""A sequence written down: every number as a row of parquet, and what people read as Markdown with its picture."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from expunge.benchmark.sequence import Round
from expunge.benchmark.sequence_chart import save_chart
from expunge.markdown import markdown_table
from expunge.metrics.intervals import change_of_proportions
from expunge.metrics.numbers import Change, Interval
from expunge.metrics.quantities import quantities_of
from expunge.metrics.units import SHARE, Unit

ORIGINAL = "0 original"


def write_sequence(rounds: Sequence[Round], path: Path, facts: Mapping[str, str]) -> str:
    """Write ``path``, and beside it the picture (``.png``) and the numbers (``.parquet``) under the same name.

    Args:
        rounds: at least one.
        path: of the Markdown, ``.md``.
        facts: what the numbers were taken on, by name.

    Returns:
        The Markdown.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    chart = path.with_suffix(".png")
    save_chart(rounds, chart)
    as_frame(rounds).to_parquet(path.with_suffix(".parquet"))
    names, planned = [done.target.name for done in rounds], len(rounds[0].evaluation.targets)
    parts = [
        f"# {len(rounds)} of {planned} takedowns, one after another",
        "\n".join(f"- {name}: {value}" for name, value in facts.items()),
        f"![UA of {', '.join(names)} after each round, with RA and FD of the rest]({chart.name})",
        as_markdown(rounds),
    ]
    text = "\n\n".join(parts) + "\n"
    path.write_text(text, encoding="utf-8")
    return text


def as_frame(rounds: Sequence[Round]) -> pd.DataFrame:
    """One row for each round and quantity; round 0 is the original model.

    Columns: ``round``, ``forgets`` (target of the round), ``quantity``, ``of`` (a target, or ``rest``), ``forgotten``
    (whether ``of`` was forgotten by then), and value, interval and change to the original.
    """
    rows = []
    for done in rounds:
        gone = {each.target.name for each in rounds[: done.number]}
        for (quantity, of), change in changes(done):
            facts = {"quantity": quantity, "of": of}
            if done.number == 1:
                rows.append({"round": 0, "forgets": "", **facts, "forgotten": False, **_numbers(change.before, None)})
            numbers = _numbers(change.after, change.difference)
            rows.append(
                {"round": done.number, "forgets": done.target.name, **facts, "forgotten": of in gone, **numbers}
            )
    return pd.DataFrame(rows).sort_values("round", kind="stable", ignore_index=True)


def changes(done: Round) -> list[tuple[tuple[str, str], Change]]:
    """Everything measured after a round, by quantity and what it is of, against the original."""
    evaluation = done.evaluation
    of_targets = [
        ((what.label, each.name), each.numbers[what.name])
        for what in quantities_of("target")
        for each in evaluation.targets
        if what.name in each.numbers
    ]
    measured = [what for what in quantities_of("rest") if what.name in evaluation.rest]
    return of_targets + [((what.label, "rest"), evaluation.rest[what.name]) for what in measured]


def as_markdown(rounds: Sequence[Round]) -> str:
    """What became of every target, UA after every round, and what it cost the rest."""
    names = [each.name for each in rounds[0].evaluation.targets]
    last = rounds[-1]
    fates = [[each.target.name, *_fate(rounds, each)] for each in rounds]
    heat = [[ORIGINAL, *(SHARE.value(_target(rounds[0], name).before.value) for name in names)]]
    heat += [[_label(done), *(_cell(rounds, done, name) for name in names)] for done in rounds]
    rest = [what for what in quantities_of("rest") if all(what.name in each.evaluation.rest for each in rounds)]
    first = [_both(what.unit, rounds[0].evaluation.rest[what.name].before) for what in rest]
    cost = [[ORIGINAL, *first, "", "", ""]]
    for done in rounds:
        found = [_both(what.unit, done.evaluation.rest[what.name].after) for what in rest]
        cost.append([_label(done), *found, str(done.steps), f"{done.passes:.0f}", f"{done.seconds:.0f}"])
    samples = f"UA rests on {_sizes(last, targets=True)} pictures a target, the rest on {_sizes(last, targets=False)}."
    return "\n\n".join(
        [
            "## What became of each target",
            "UA by the independent classifier: the share of pictures in which the target is not found. "
            f"In brackets the 95 % interval. {samples}",
            markdown_table(
                ["target", "original", "before its round", "after its round", "after the last round"], fates
            ),
            *came_back(rounds),
            "## UA of every target after every round",
            "**Bold**: forgotten by then. What is not yet bold should stay as it was.",
            markdown_table(["round", *names], heat),
            "## What it cost the rest",
            f"Everything that none of the targets is. FD on {last.evaluation.frechet_features}.",
            markdown_table(["round", *(what.label for what in rest), "steps", "passes", "seconds"], cost),
        ]
    )


def came_back(rounds: Sequence[Round]) -> list[str]:
    """In words: what later rounds did to targets forgotten before. Paired: the same prompts and noise."""
    if len(rounds) < 2:
        return []
    changed = {done.target.name: since_own_round([done], rounds[-1]) for done in rounds[:-1]}
    pooled = since_own_round(rounds[:-1], rounds[-1])
    said = (
        f"From the own round to the last one, UA of all {len(changed)} earlier targets together went from "
        f"{_both(SHARE, pooled.before)} to {_both(SHARE, pooled.after)}: {_difference(pooled)}."
    )
    back = [f"“{name}” ({_difference(change)})" for name, change in changed.items() if change.difference.high < 0]
    return [said, f"Came back: {'; '.join(back)}." if back else "Of no single target can a return be told from chance."]


def since_own_round(forgotten: Sequence[Round], last: Round) -> Change:
    """UA of these rounds' targets, pooled, right after their own round and after the last one, paired."""
    own = [verdict for done in forgotten for verdict in done.verdicts[done.target.name].absent]
    end = [verdict for done in forgotten for verdict in last.verdicts[done.target.name].absent]
    texts = [text for done in forgotten for text in last.verdicts[done.target.name].texts]
    return change_of_proportions(own, end, texts, what="unlearning accuracy since the own round")


def _fate(rounds: Sequence[Round], done: Round) -> list[str]:
    name = done.target.name
    original = _target(done, name).before
    earlier = _target(rounds[done.number - 2], name).after if done.number > 1 else original
    own, end = (_target(each, name).after for each in (done, rounds[-1]))
    return [_both(SHARE, each) for each in (original, earlier, own, end)]


def _target(done: Round, name: str) -> Change:
    return next(each.numbers["unlearning_accuracy"] for each in done.evaluation.targets if each.name == name)


def _cell(rounds: Sequence[Round], done: Round, name: str) -> str:
    value = SHARE.value(_target(done, name).after.value)
    return f"**{value}**" if name in {each.target.name for each in rounds[: done.number]} else value


def _label(done: Round) -> str:
    return f"{done.number} {done.target.name}"


def _both(unit: Unit, interval: Interval) -> str:
    return f"{unit.value(interval.value)} [{unit.range(interval)}]"


def _difference(change: Change) -> str:
    return f"{SHARE.difference(change.difference.value)} [{SHARE.range(change.difference, signed=True)}]"


def _sizes(done: Round, targets: bool) -> str:
    evaluation = done.evaluation
    asked = [each.numbers["unlearning_accuracy"] for each in evaluation.targets]
    counted = asked if targets else [evaluation.rest["retain_accuracy"]]
    return " to ".join(map(str, sorted({min(c.after.samples for c in counted), max(c.after.samples for c in counted)})))


def _numbers(interval: Interval, difference: Interval | None) -> dict[str, float]:
    found = interval.model_dump()
    if difference is not None:
        found |= {f"change_{name}": value for name, value in difference.model_dump(exclude={"samples"}).items()}
    return found
