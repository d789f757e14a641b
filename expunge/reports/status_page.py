"""The inbox's standing as a page."""

from collections.abc import Sequence

from expunge.reports.rendering import moment, render
from expunge.takedown.entry import Entry
from expunge.takedown.standing import Standing

SHOWN = (
    "pending", "running", "waiting", "overdue", "for_a_person", "failed", "rejected", "nothing_to_remove", "fulfilled",
)  # fmt: skip


def render_status(standing: Standing, entries: Sequence[Entry]) -> str:
    """One HTML page that loads nothing: what needs a person and what is late first, then every request.

    Args:
        entries: those that the standing was summed up from.
    """
    first = {id: number for number, id in enumerate((*standing.for_a_person, *standing.overdue))}
    ordered = sorted(entries, key=lambda each: (first.get(each.id, len(first)), each.id))
    return render(
        "status.html.j2",
        standing=standing,
        counts=[(name.replace("_", " "), len(getattr(standing, name))) for name in SHOWN],
        rows=[_row(each, standing) for each in ordered],
    )


def _row(entry: Entry, standing: Standing) -> dict[str, str | bool]:
    history, request = entry.state.history, entry.request
    return {
        "id": entry.id,
        "asks": f"{request.kind.value} {request.target}" if request else "unreadable",
        "label": entry.state.label,
        "since": moment(history[-1].time) if history else "",
        "due": moment(request.due) if request and request.due else "",
        "late": entry.id in standing.overdue,
        "why": entry.state.reason or entry.problem,
    }
