"""Promotion and roll-back: the champion log says who is champion, MLflow's aliases follow it."""

from dataclasses import dataclass
from datetime import UTC, datetime

from expunge.errors import ExpungeError
from expunge.evaluation.evaluation import GateDecision
from expunge.release.model_version import ModelVersion
from expunge.release.registry import Registry
from expunge.takedown.champion_log import Approval, ChampionLog, Crowning
from expunge.takedown.inbox import Inbox


def promote(
    log: ChampionLog,
    registry: Registry,
    version: ModelVersion,
    decision: GateDecision,
    by: str = "",
    approval: Approval | None = None,
) -> Crowning:
    """Make a version champion on top of the one that it was made from. Done again it changes nothing.

    Args:
        decision: the gate's on this version.
        by: the run that asks.
        approval: a person's, where the gate asks for one.

    Raises:
        Overtaken: another version is champion by now.
        ExpungeError: the gate said no, or an approval is missing.
    """
    if not decision.passed:
        failed = [f"{each.name}: {each.measured} ({each.rule})" for each in decision.conditions if not each.passed]
        raise ExpungeError(
            f"version {version.version} did not pass the gate, so it is not promoted. {'; '.join(failed)}"
        )
    if decision.approval_within_days is not None and approval is None:
        raise ExpungeError(f"version {version.version} needs an approval: expunge approve {version.version} --reason …")
    crowning = Crowning(
        version=version.version,
        replaces=version.made_from,
        adds=version.requests,
        why="promotion",
        reason=approval.reason if approval else "the gate was passed",
        by=by,
        at=datetime.now(UTC),
        approval=approval,
    )
    written = log.crown(crowning)
    follow(log, registry)
    return written


@dataclass(frozen=True)
class RollBack:
    """What a roll-back does, or would do.

    Attributes:
        back_to: the version that is champion afterwards.
        instead_of: the champion before.
        reopened: ids of the requests that are open again, because that version has not forgotten them, or because
            it may draw what a later one did not.
    """

    back_to: int
    instead_of: int
    reopened: tuple[str, ...]


def plan_roll_back(inbox: Inbox) -> RollBack:
    """What a roll-back of the model that the inbox is opened for would do now.

    Raises:
        ExpungeError: there is no former champion.
    """
    log = inbox.champions
    current, former = log.current(), log.former()
    if current is None or former is None:
        raise ExpungeError(f"registered model {log.model}: there is no former champion to go back to.")
    lost, line = log.covered_by(current.version) - log.covered_by(former), log.line(former)
    absences = {each.id: each.state.absence for each in inbox.requests() if each.state.absence}
    lost |= {id for id, absence in absences.items() if absence.version not in line}
    return RollBack(former, current.version, tuple(sorted(lost)))


def roll_back(log: ChampionLog, registry: Registry, planned: RollBack, reason: str, by: str = "") -> Crowning:
    """Make the former champion the champion again. The requests that it does not cover are open from then on.

    Raises:
        ExpungeError: there is no reason, or the version was deleted.
        Overtaken: the champion is no longer the one that the roll-back was planned from.
    """
    if not reason.strip():
        raise ExpungeError("reason: is empty; say why the champion is taken back, it goes on the record")
    registry.get(planned.back_to)
    crowning = Crowning(
        version=planned.back_to,
        replaces=planned.instead_of,
        why="roll-back",
        reason=reason,
        by=by,
        at=datetime.now(UTC),
    )
    written = log.crown(crowning)
    follow(log, registry)
    return written


def follow(log: ChampionLog, registry: Registry) -> int | None:
    """Set MLflow's aliases from the log, whatever happened to them; returns the champion, None before the first.

    A registry whose champion is in no log, as earlier versions of Expunge left them, gets its log.
    """
    current = log.current()
    if current is None or current.why == "found":
        current = _found(log, registry)
    while current is not None:
        former, kept = log.former(), {version.version for version in registry.history()}
        registry.call_champion(current.version, former if former in kept else None)  # deleted: see ``superseded``
        now = log.current()
        if now == current:
            return current.version
        current = now  # crowned meanwhile: the aliases must not stay behind
    return None


def _found(log: ChampionLog, registry: Registry) -> Crowning | None:
    """Begin the log with the versions that the champion was made from, and it; one that was cut short goes on."""
    line = [champion] if (champion := registry.champion()) else []
    kept = {version.version: version for version in registry.history()}
    while line and (before := kept.get(line[0].made_from or 0)):
        line.insert(0, before)
    begun = {each.version for each in log.entries()}
    for version in line:
        if version.version not in begun:
            number, made_from, at = version.version, version.made_from, version.registered_at
            log.crown(Crowning(version=number, replaces=made_from, adds=version.requests, why="found", at=at))
    return log.current()
