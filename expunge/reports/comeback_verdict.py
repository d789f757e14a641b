"""What the comes-back tests say in plain words."""

from collections.abc import Sequence
from dataclasses import dataclass

from expunge.comeback.comeback_report import UNLEARNED, ComebackReport, Outcome, Reading, surely_higher
from expunge.metrics.numbers import Interval
from expunge.metrics.units import SHARE, SPACE

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
    said = [f"Asked plainly, it shows in {_shares([plain], interval=True)}."]
    for means, group in _by_means(tried, True).items():
        said.append(f"{_capital(means)} brings it back: {_shares(group, interval=True)}.")
    if rest := _by_means(tried, False):
        beyond = "from a model that never saw it" if report.has_never_saw else "when plainly asked"
        said.append(f"Not surely more often than {beyond}: {_spelt_out(rest)}.")
    if untold := _by_means(tried, None):
        said.append(
            f"Hard to read without a model that never saw it: {_spelt_out(untold)}. Low strengths keep the picture "
            "that was given, whatever the model knows."
        )
    said += [_trace(each) for each in found if not each.draws]
    said += [f"Not tried, {test}: {why}" for test, why in report.models[0].untried.items()]
    return said if report.has_never_saw else [*said, WITHOUT_NEVER_SAW]


def _brings_back(outcome: Outcome, reading: Reading, plain: Interval) -> bool | None:
    if reading.never_saw is not None:
        return reading.comes_back
    return surely_higher(outcome.value, plain) if outcome.sort == "search" else None


def _by_means(found: Sequence[Finding], brings_back: bool | None) -> dict[str, list[Finding]]:
    """Those with that answer, tests by the same means together; with details unless it is all tests by that means."""
    groups: dict[str, list[Finding]] = {}
    for each in found:
        groups.setdefault(each.outcome.means, []).append(each)
    named = {}
    for means, group in groups.items():
        chosen = [each for each in group if each.brings_back is brings_back]
        details = ", ".join(each.outcome.detail for each in chosen if each.outcome.detail)
        if chosen:
            whole = len(chosen) == len(group) > 1
            named[f"{means} ({details})" if details and not whole else means] = chosen
    return named


def _spelt_out(groups: dict[str, list[Finding]]) -> str:
    return "; ".join(f"{means}, {_shares(group, interval=False)}" for means, group in groups.items())


def _shares(group: Sequence[Finding], interval: bool) -> str:
    """The shares of a group, and in brackets those of the references; one alone with its interval if asked for."""
    values = [each.outcome.value for each in group]
    beside = [f"original {_range([each.reading.original for each in group])}"]
    if interval and len(group) == 1:
        beside.insert(0, f"95{SPACE}% interval {SHARE.range(values[0])}")
    if never := [each.reading.never_saw for each in group if each.reading.never_saw]:
        beside.append(f"never saw it {_range(never)}")
    return f"{_range(values)} of {values[0].samples:,} pictures ({'; '.join(beside)})"


def _range(numbers: Sequence[Interval]) -> str:
    low, high = (SHARE.value(end([each.value for each in numbers])) for end in (min, max))
    return low if low == high else f"{low} to {high}"


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


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
