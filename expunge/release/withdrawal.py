"""Withdrawn certificates: of takedowns that a roll-back undid."""

import json

from expunge.release.registry import Registry
from expunge.release.settling import REPORTS
from expunge.release.verification import WITHDRAWN
from expunge.takedown.champion_log import ChampionLog


def withdraw(log: ChampionLog, registry: Registry) -> list[str]:
    """Mark the certificates that the present champion does not stand for, if it came by a roll-back.

    ``withdrawn.json`` is laid beside the certificates of each version concerned, below ``.expunge/reports`` and in the
    version's run in MLflow: request, version, reason, by whom and when. Done again it writes the same.

    Returns:
        The ids of the requests.
    """
    entries = log.entries()
    if not entries or entries[-1].why != "roll-back":
        return []
    present = entries[-1]
    lost = {id for each in entries for id in each.adds} - log.covered_by(present.version)
    crowned = {each.version for each in entries}
    for version in reversed(registry.history()):  # what was deleted has no certificate here to withdraw
        number = version.version
        if number not in crowned or not (here := sorted(lost & set(version.requests))):
            continue
        folder = REPORTS / f"{version.name}-{number}"
        folder.mkdir(parents=True, exist_ok=True)
        facts = {"reason": present.reason, "by": present.by, "at": present.at.isoformat(), "champion": present.version}
        marks = [{"request": id, "version": number} | facts for id in here]
        (folder / WITHDRAWN).write_text(json.dumps(marks, indent=1, ensure_ascii=False), encoding="utf-8")
        registry.attach(number, {"report": folder / WITHDRAWN})
    return sorted(lost)
