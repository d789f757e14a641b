"""What the comes-back tests say in plain words."""

from collections.abc import Sequence
from dataclasses import dataclass

from expunge.comeback.report import UNLEARNED, ComebackReport, Outcome, Reading, surely_higher
from expunge.evaluation import Interval
from expunge.reports.wording import SHARE, SPACE

GONE = 0.1  # share of pictures above which a target that is asked for plainly counts as still drawn

WITHOUT_NEVER_SAW = (
    "No model that never saw the target was given. Any model learns a thing anew from enough pictures of it, so "
    "nothing here says how much of what comes back had only been hidden."
)


@dataclass(frozen=True)
class Finding:
    """One test of the unlearned model.

    Attributes:
        outcome: the number, and in words what was done.
        reading: the same number of the references.
        brings_back: whether the target comes back: the number is surely higher than for a model that never saw the
            target, or, without one, than when this model is asked plainly. None: not to be told, as for pictures that
            were handed to the model, and for AUCs, when there is no never-saw model.
    """

    outcome: Outcome
    reading: Reading
    brings_back: bool | None

    @property
    def draws(self) -> bool:
        """Whether it is about pictures that the model draws, not about an AUC."""
        return self.outcome.sort != "trace"


def findings(report: ComebackReport) -> tuple[Finding, ...]:
    """All tests of the unlearned model; none if nothing was tested."""
    if report.untested:
        return ()
    outcomes, readings = report.model(UNLEARNED).outcomes(), report.readings(UNLEARNED)
    plain = outcomes[0].value
    return tuple(
        Finding(outcome, reading, _brings_back(outcome, reading, plain))
        for outcome, reading in zip(outcomes, readings, strict=True)
    )


def headline(report: ComebackReport) -> str:
    """The verdict in one line."""
    name = f"“{report.target}”"
    if report.untested:
        return f"Whether {name} comes back was not tested: the original model does not draw it."
    found = findings(report)
    if found[0].outcome.value.low > GONE:
        return f"{name} never went away: the model still draws it when plainly asked."
    if back := [each for each in found if each.brings_back and each.draws]:
        means = _listed(list(dict.fromkeys(each.outcome.means for each in back)))
        than = ", more often than from a model that never saw it" if report.has_never_saw else ""
        return f"{name} comes back by {means}{than}."
    if any(each.brings_back for each in found):
        return f"Nothing that was tried makes the model draw {name} again, but it still knows how it looks."
    than = " more often than a model that never saw it would draw it" if report.has_never_saw else ""
    return f"Nothing that was tried brings {name} back{than}, as far as these samples tell."


def sentences(report: ComebackReport) -> list[str]:
    """The verdict at length: what brings the target back, what does not, and what else is left of it."""
    if report.untested:
        return [_capital(report.untested)]
    found = findings(report)
    plain, *tried = [each for each in found if each.draws]
    said = [f"Asked plainly, {_shown(plain)}.", *(_back(each) for each in tried if each.brings_back)]
    if rest := [each for each in tried if each.brings_back is False]:
        beyond = "a model that never saw it" if report.has_never_saw else "when plainly asked"
        said.append(f"Not surely more often than {beyond}: {'; '.join(_with_share(each) for each in rest)}.")
    if untold := [each for each in tried if each.brings_back is None]:
        said.append(_redrawn(untold))
    said += [_trace(each) for each in found if not each.draws]
    return said if report.has_never_saw else [*said, WITHOUT_NEVER_SAW]


def _brings_back(outcome: Outcome, reading: Reading, plain: Interval) -> bool | None:
    if reading.never_saw is not None:
        return reading.comes_back
    return surely_higher(outcome.value, plain) if outcome.sort == "search" else None


def _back(finding: Finding) -> str:
    return f"{_capital(finding.outcome.words)} brings it back: {_shown(finding)}."


def _shown(finding: Finding) -> str:
    value = finding.outcome.value
    return (
        f"it shows in {SHARE.value(value.value)} of {value.samples:,} pictures "
        f"(95{SPACE}% interval {SHARE.range(value)}; {_references(finding.reading)})"
    )


def _with_share(finding: Finding) -> str:
    return f"{finding.outcome.words}, {SHARE.value(finding.outcome.value.value)} ({_references(finding.reading)})"


def _redrawn(untold: Sequence[Finding]) -> str:
    hardest = max(untold, key=lambda each: each.reading.test)  # names sort by strength; "target" after "nothing"
    return (
        f"{_capital(hardest.outcome.words)}, leaves it in {SHARE.value(hardest.outcome.value.value)} "
        f"({_references(hardest.reading)}). Low strengths keep what they were given, whatever the model knows."
    )


def _trace(finding: Finding) -> str:
    value, never = finding.outcome.value, finding.reading.never_saw
    number = f"AUC {value.value:.2f}, 95{SPACE}% interval {value.low:.2f}–{value.high:.2f}"
    if never is not None:
        number += f"; never saw it: {never.value:.2f}"
    below, above = value.high < 0.5, value.low > 0.5
    if finding.reading.test == "AUC forget set":
        said = "cannot be told from fresh ones"
        if below:
            said = "are denoised worse than fresh ones: unlearning left its mark on them"
        if above:
            said = "are still denoised better than fresh ones: they are remembered"
        return f"The very pictures it was unlearned on {said} ({number})."
    lost = "lost more than" if below else "lost less than" if above else "lost no more than"
    means = "knowledge of it went, not its name alone" if below else "its look may still be known"
    return f"Denoised without a prompt, its pictures have {lost} pictures of other things: {means} ({number})."


def _references(reading: Reading) -> str:
    said = f"original {SHARE.value(reading.original.value)}"
    return said if reading.never_saw is None else f"{said}, never saw it {SHARE.value(reading.never_saw.value)}"


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
