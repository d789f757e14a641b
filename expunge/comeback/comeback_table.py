"""The report as a table: rows are models, columns are tests."""

import pandas as pd

from expunge.comeback.comeback_report import NEVER_SAW, ComebackReport, Reading
from expunge.markdown import markdown_table
from expunge.metrics.numbers import Interval

NOTES = (
    "Plain prompt: share of pictures for held-out target prompts in which the classifier finds the target.",
    "Relearned on n: the same after fine-tuning a copy on n target pictures; on harmless: on pictures without it.",
    "Embedding: the same when new token embeddings, searched for with white-box access, stand for the target's name.",
    "Best prompt: the best of the tried wordings, misspellings, word orders and unrelated prompts, drawn afresh.",
    "Picture s: the same after noising target pictures to the share s and denoising them, asked for the target or for "
    "nothing (empty prompt). Low strengths keep what was given, whatever the model knows.",
    "Noise η: the same while a share η of the noise at every step of drawing is fresh.",
    "Inpainting: the same where the middle of target pictures was cut out, and the model fills it, asked for the "
    "target.",
    "Guided s: the same while a classifier that learnt from target pictures leads every step, by s of the picture's "
    "norm. It brings knowledge of its own.",
    "AUC forget set: chance that a picture the model was unlearned on is denoised better than a fresh one of the same "
    "prompt; 0.5: no trace.",
    "AUC target: chance that a target picture has lost less in denoising, without a prompt, than a picture of another "
    "thing; the original: 0.5; a model that never saw the target: less.",
)


def as_frame(report: ComebackReport) -> pd.DataFrame:
    """Rows: models. Columns: (test, ``value`` / ``low`` / ``high`` / ``samples``), all float64."""
    return pd.DataFrame(
        {
            model.name: {
                (test, field): float(getattr(number, field))
                for test, number in model.numbers().items()
                for field in ("value", "low", "high", "samples")
            }
            for model in report.models
        }
    ).T


def as_markdown(report: ComebackReport) -> str:
    """Values with 95 % intervals and sample sizes; bold where the target comes back beyond a never-saw model."""
    tests = list(report.models[0].numbers())
    lines = [[each.name, *(_cell(reading, each.name) for reading in report.readings(each.name))]
             for each in report.models]  # fmt: skip
    sizes = [str(number.samples) for number in report.models[0].numbers().values()]
    lines.append(["samples", *sizes])
    table = markdown_table(["model", *tests], lines)
    never = any(model.name == NEVER_SAW for model in report.models)
    mark = (
        "Bold: surely higher than for the model that never saw the target: it was hidden, not forgotten."
        if never
        else "No model that never saw the target was given, so nothing here says how much of it is hiding."
    )
    untried = [f"Not tried, {test}: {why}" for test, why in report.models[0].untried.items()]
    return table + "\n\n" + "\n".join(f"- {note}" for note in (mark, *untried, *NOTES)) + "\n"


def _cell(reading: Reading, name: str) -> str:
    text = written(reading.value)
    return f"**{text}**" if reading.comes_back and name != NEVER_SAW else text


def written(number: Interval) -> str:
    """Value and interval, two decimals."""
    return f"{number.value:.2f} [{number.low:.2f}, {number.high:.2f}]"
