"""What was taken down, and which models still draw it: by this one can tell what a purge is to remove."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from expunge.prompts.target import Target
from expunge.prompts.world import World
from expunge.release.findings import Findings
from expunge.release.model_version import ModelVersion
from expunge.release.registry import Registry
from expunge.release.retention import Forbidden
from expunge.release.settling import FINDINGS
from expunge.takedown.champion_log import covered
from expunge.takedown.inbox import Inbox
from expunge.takedown.life_cycle import Outcome

OUTCOMES: dict[Forbidden, tuple[Outcome, ...]] = {
    "at once": (Outcome.FULFILLED, Outcome.FAILED),
    "when fulfilled": (Outcome.FULFILLED,),
    "keep": (),
}


@dataclass(frozen=True)
class TakenDown:
    """A closed request.

    Attributes:
        target: what it asked for, in the world of its run.
        world: that world.
        drawn_by: digests of the models that draw it: versions of the registered model that have not forgotten it, and
            the bases of all versions.
        until: of a request that failed, when it was closed: the model in service draws the target, and later runs
            retain it, so what was drawn after that stays. None of one that was fulfilled.
    """

    target: Target
    world: World
    drawn_by: frozenset[str]
    until: datetime | None = None

    @property
    def request_id(self) -> str:
        """Of the request."""
        return self.target.request_id

    def is_drawn_by(self, models: Iterable[str], made_at: datetime) -> bool:
        """Whether what one of these models (by digest) drew at that time may show the target."""
        return not self.drawn_by.isdisjoint(models) and (self.until is None or made_at <= self.until)

    def named_in(self, text: str) -> bool:
        """Whether a sentence asks for the target, by any of its wordings."""
        return self._wordings.search(text) is not None

    @cached_property
    def _wordings(self) -> re.Pattern[str]:
        levels = [(name, self.world.factors[self.target.factor][name]) for name in self.target.levels]
        words = {word for name, level in levels for word in (name, *level.train, *level.held_out)}
        either = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
        return re.compile(rf"(?<!\w)(?:{either})(?!\w)", re.IGNORECASE)


def what_was_taken_down(inbox: Inbox, registry: Registry, policy: Forbidden = "at once") -> list[TakenDown]:
    """Every closed request that is due by the policy, as far as a registered version tells of its target."""
    outcomes = OUTCOMES[policy]
    closed = {entry.id: entry.state for entry in inbox.requests() if entry.state.outcome in outcomes}
    versions = registry.history() if closed else []
    forgotten = what_each_forgot(inbox, versions)
    bases = {version.tags.get("sha256_base_model", "") for version in versions}
    found: dict[str, TakenDown] = {}
    for version in versions:  # the newest first: its world is the one of today
        ids = (set(version.requests) & set(closed)) - set(found)
        if not ids or "registered_at" not in version.tags:  # versions of before were registered without findings
            continue
        case = Findings.model_validate_json(registry.read(version.version, FINDINGS)).case
        for target in (each for each in case.targets if each.request_id in ids):
            id, state = target.request_id, closed[target.request_id]
            without = {each.digest for each in versions if id in forgotten[each.version]}
            drawn_by = frozenset(({each.digest for each in versions} | bases) - without - {""})
            until = state.history[-1].time if state.outcome is Outcome.FAILED else None
            found[id] = TakenDown(target, case.world, drawn_by, until)
    return list(found.values())


def what_each_forgot(inbox: Inbox, versions: Iterable[ModelVersion]) -> dict[int, frozenset[str]]:
    """Ids of the requests that each version has surely forgotten: of one that never was champion, those of its base."""
    entries = inbox.champions.entries()
    return {each.version: covered(entries, each.version) or covered(entries, each.made_from or 0) for each in versions}


def still_drawn(inbox: Inbox, versions: Iterable[ModelVersion]) -> Iterator[tuple[ModelVersion, tuple[str, ...]]]:
    """Versions with the ids of the requests that the champion has forgotten and they have not; none for most."""
    current = inbox.champions.current()
    by_champion = inbox.champions.covered_by(current.version) if current else frozenset[str]()
    known = list(versions)
    forgotten = what_each_forgot(inbox, known)
    for version in known:
        yield version, tuple(sorted(by_champion - forgotten[version.version]))
