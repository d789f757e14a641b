"""The section "Does it come back?": words, curves and tables, the same on the report and on the evaluation page."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from expunge.comeback.comeback_report import NEVER_SAW, ORIGINAL, UNLEARNED, ComebackReport
from expunge.comeback.comeback_table import NOTES, as_markdown
from expunge.metrics.numbers import Interval
from expunge.metrics.units import SHARE
from expunge.reports.comeback_chart import relearning_curves
from expunge.reports.comeback_verdict import Finding, findings, headline, sentences
from expunge.reports.rendering import flattened

COLUMNS = {UNLEARNED: "Unlearned", ORIGINAL: "Original", NEVER_SAW: "Never saw it"}
ANSWERS = {True: "yes", False: "no", None: "–"}


@dataclass(frozen=True)
class Line:
    """One test in the table: its short name, sample size, values with intervals by column, and the answer."""

    test: str
    samples: int
    cells: tuple[tuple[str, str], ...]
    brings_back: bool | None

    @property
    def answer(self) -> str:
        """Whether the target comes back: yes, no, or – where it cannot be told."""
        return ANSWERS[self.brings_back]


@dataclass(frozen=True)
class ComebackView:
    """What the page shows of one target's tests.

    Attributes:
        target: its name.
        headline: the verdict in one line.
        sentences: the verdict at length.
        curves: relearning; None if nothing was tested.
        columns: heads of the table's columns of values.
        lines: the table; empty if nothing was tested.
        rule: when a test counts as bringing the target back.
        digests: model and SHA-256 of its weights.
        settings: of the tests, by dotted name.
    """

    target: str
    headline: str
    sentences: tuple[str, ...]
    curves: Markup | None
    columns: tuple[str, ...]
    lines: tuple[Line, ...]
    rule: str
    digests: tuple[tuple[str, str], ...]
    settings: tuple[tuple[str, object], ...]
    notes: tuple[str, ...] = NOTES


def comeback_views(reports: Sequence[ComebackReport]) -> list[ComebackView]:
    """One view a target."""
    return [_view(report) for report in reports]


def comeback_markdown(reports: Sequence[ComebackReport]) -> str:
    """The same in Markdown: the verdict, then the table of all models; empty if there are no reports."""
    parts = []
    for report in reports:
        parts += [f"## Does “{report.target}” come back?", f"**{headline(report)}**"]
        parts.append("\n".join(f"- {each.replace('|', ' ').replace('<', '&lt;')}" for each in sentences(report)))
        if not report.untested:
            parts.append(as_markdown(report).strip())
    return "".join(f"\n{part}\n" for part in parts)


def comeback_lines(report: ComebackReport) -> list[Line]:
    """The table of one target, a line a test."""
    return [_line(each, report.has_never_saw) for each in findings(report)]


def _view(report: ComebackReport) -> ComebackView:
    than = (
        "surely higher than for the model that never saw the target"
        if report.has_never_saw
        else "surely higher than under plain prompts; pictures handed to the model and AUCs tell nothing by themselves"
    )
    return ComebackView(
        target=report.target,
        headline=headline(report),
        sentences=tuple(sentences(report)),
        curves=relearning_curves(report),
        columns=tuple(label for name, label in COLUMNS.items() if name != NEVER_SAW or report.has_never_saw),
        lines=tuple(comeback_lines(report)),
        rule=f"Back: {than} (95 % interval of the difference above 0).",
        digests=tuple((COLUMNS[each.name], each.digest) for each in report.models),
        settings=tuple(flattened(report.settings.model_dump())),
    )


def _line(finding: Finding, has_never_saw: bool) -> Line:
    reading, trace = finding.reading, finding.outcome.sort == "trace"
    values = [reading.value, reading.original, *([reading.never_saw] if has_never_saw else [])]
    cells = tuple(_cell(each, trace) if each else ("not measured", "") for each in values)
    return Line(reading.test, reading.value.samples, cells, finding.brings_back)


def _cell(number: Interval, trace: bool) -> tuple[str, str]:
    if trace:
        return f"{number.value:.2f}", f"{number.low:.2f}–{number.high:.2f}"
    return SHARE.value(number.value), SHARE.range(number)
