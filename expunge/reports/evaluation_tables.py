"""The numbers as people read them: the same rows on the terminal, in Markdown and on the page."""

from collections.abc import Sequence
from dataclasses import replace

from expunge.evaluation.evaluation import TargetScores, was_drawn
from expunge.evaluation.plan import label
from expunge.evaluation.result import CompositionScores, EvaluationResult, WordingScores
from expunge.markdown import markdown_table, safe
from expunge.metrics.numbers import Change, Interval, complement
from expunge.metrics.paired_drift import from_nothing
from expunge.metrics.units import COSINE, SHARE
from expunge.prompts.compositions import COMPOSITIONS
from expunge.prompts.target import Target
from expunge.prompts.variants import WORDINGS
from expunge.reports import wording
from expunge.reports.wording import Row, table_row, unmeasured_row

# Shares of pictures that show the target, by the unfavourable end of the interval.
GONE = 0.1


def sections(result: EvaluationResult) -> list[tuple[str, list[Row]]]:
    """Captions and rows: each target, each target in other wordings, and the rest."""
    found, features = [], result.evaluation.frechet_features
    for target, scores in zip(result.targets, result.evaluation.targets, strict=True):
        found.append((f"Forgetting “{target.name}”, on held-out wordings", wording.target_rows(scores, features)))
        if groups := [each for each in result.wordings if each.target == label(target)]:
            found.append((f"Asking for “{target.name}” in other ways: UA", [wording_row(each) for each in groups]))
        if scenes := [each for each in result.compositions if each.target == label(target)]:
            rows = [row for each in scenes for row in composition_rows(each)]
            found.append((f"Scenes near “{target.name}”: alignment, and distance from the picture before", rows))
    rest = "Everything else" if result.targets else "Everything the model draws"
    found.append((f"{rest}: retention, and quality on {features}", wording.retention_rows(result.evaluation)))
    return found


def wording_row(scores: WordingScores) -> Row:
    """UA by the classifier in one wording group; what cannot be asked says so."""
    ua = scores.numbers.get("unlearning_accuracy")
    if ua is None:
        return unmeasured_row(scores.group, "the world has none")
    return table_row(scores.group, WORDINGS[scores.group][1], ua, SHARE)


def composition_rows(scores: CompositionScores) -> list[Row]:
    """Alignment, CLIP distance and structural distance of one kind of scene; what cannot be asked says so."""
    if scores.alignment is None or scores.drift is None or scores.structure is None:
        return [unmeasured_row(scores.group, "none: the world has no such scene")]
    told = f"{COMPOSITIONS[scores.group][1]}; AS of single subjects before: {COSINE.value(scores.single_alignment)}"
    return [
        table_row(f"AS, {scores.group}", told, scores.alignment, COSINE),
        _moved_row(f"moved, {scores.group}", "1 − CLIP cosine to the picture before", scores.drift),
        _moved_row(f"restructured, {scores.group}", scores.structure_name, scores.structure),
    ]


def _moved_row(name: str, note: str, distance: Interval) -> Row:
    """A distance from the picture before: that of the picture before from itself is none."""
    return replace(table_row(name, note, from_nothing(distance), COSINE), before_range="")


def headline(result: EvaluationResult) -> str:
    """The verdict in one line: whether each target is gone, and whether the rest is still there."""
    asked = [(each.name, each.numbers.get("unlearning_accuracy")) for each in result.evaluation.targets]
    said = [f"“{name}” {_forgotten(ua)}" for name, ua in asked]
    retained = _retained(result.evaluation.rest.get("retain_accuracy"))
    said.append(f"{'everything else' if said else 'everything'} {retained}")
    line = f"{'; '.join(said)}."
    return line[0].upper() + line[1:]


def sentences(result: EvaluationResult) -> list[str]:
    """The verdict at length: each target, the worst way to ask for it, and what it cost."""
    found = []
    for target, scores in zip(result.targets, result.evaluation.targets, strict=True):
        found.append(wording.request_sentence(target.name, scores))
        measured = [each for each in result.wordings if each.target == label(target) and each.numbers]
        if measured:
            found.append(_worst_wording(scores, measured))
        found += _most_moved_scene(target, result)
    return found + wording.cost_sentences(result.evaluation)


def as_markdown(result: EvaluationResult) -> str:
    """Verdict, tables and provenance as Markdown."""
    parts = ["# Evaluation", f"**{headline(result)}**"]
    parts += ["\n".join(f"- {safe(each)}" for each in [*result.warnings, *sentences(result)])]
    for caption, rows in sections(result):
        body = [
            [row.label, _both(row.before, row.before_range), _both(row.after, row.after_range),
             _both(row.difference, row.difference_range), row.samples]
            for row in rows
        ]  # fmt: skip
        parts += [f"## {safe(caption)}", markdown_table(["measure", "before", "after", "change", "n"], body)]
    parts += ["## Provenance", "\n".join(f"- {name}: {safe(value)}" for name, value in provenance(result).items())]
    return "\n\n".join(parts) + "\n"


def provenance(result: EvaluationResult) -> dict[str, str]:
    """Names and hashes of what was measured, and by what."""
    models = {"model": result.model, "measured against": result.against}
    found = {name: f"{each.source}{f' ({each.version})' if each.version else ''}" for name, each in models.items()}
    found |= {f"SHA-256 of {name}": each.digest for name, each in models.items()}
    found |= {"world": result.world, "judges": result.judges}
    found |= {"features of distances": result.evaluation.frechet_features}
    return found | {"SHA-256 of prompts and seeds": result.prompts_digest}


def _forgotten(change: Change | None) -> str:
    if change is None:
        return "was not measured"
    if not was_drawn(change):
        return "was hardly drawn before, so nothing can be said to be gone"
    if 1 - change.after.low <= GONE:
        return "is gone from the pictures"
    return "is drawn less often" if change.difference.low > 0 else "is still drawn"


def _retained(change: Change | None) -> str:
    if change is None:
        return "was not measured"
    if change.difference.high < 0:
        return "is drawn as asked less often"
    return "is drawn as asked more often" if change.difference.low > 0 else "is drawn as before"


def _worst_wording(scores: TargetScores, measured: Sequence[WordingScores]) -> str:
    shown = {each.group: complement(each.numbers["unlearning_accuracy"].after) for each in measured}
    worst = max(shown, key=lambda group: shown[group].value)
    example = next(each.example for each in measured if each.group == worst)
    return (
        f"Asked in other ways, “{scores.name}” shows most often by {worst}, e.g. “{example}”: in "
        f"{SHARE.value(shown[worst].value)} of {shown[worst].samples:,} pictures ({SHARE.range(shown[worst])})."
    )


def _most_moved_scene(target: Target, result: EvaluationResult) -> list[str]:
    scenes = [
        (each.drift, each.alignment, each)
        for each in result.compositions
        if each.target == label(target) and each.drift and each.alignment
    ]
    if not scenes:
        return []
    drift, alignment, scene = max(scenes, key=lambda each: each[0].value)
    return [
        f"Of scenes near “{target.name}”, {scene.group} moved most, e.g. “{scene.example}”: "
        f"{COSINE.value(drift.value)} ({COSINE.range(drift)}) by CLIP. Such scenes fitted their prompts at "
        f"{COSINE.value(alignment.before.value)} before and {COSINE.value(alignment.after.value)} after; single "
        f"subjects at {COSINE.value(scene.single_alignment)} before. What a model drew badly before it can hardly lose."
    ]


def _both(value: str, interval: str) -> str:
    return f"{value} [{interval}]" if interval else value
