"""Write a sequence down: Markdown with its picture, and every number as parquet."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from expunge.benchmark.round_store import Round
from expunge.benchmark.sequence_chart import save_chart
from expunge.benchmark.sequence_table import as_frame, as_markdown


def write_report(rounds: Sequence[Round], path: Path, facts: Mapping[str, str]) -> str:
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
    path.write_text(text)
    return text
