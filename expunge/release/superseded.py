"""Earlier versions that still draw what was taken down: marked, and hidden or deleted where that is the policy."""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass

from expunge.release.model_version import SEPARATOR, ModelVersion
from expunge.release.registry import DRAWS, HIDDEN, Registry
from expunge.release.retention import Superseded
from expunge.release.taken_down import still_drawn
from expunge.release.tracking import STATE
from expunge.takedown.inbox import Inbox
from expunge.takedown.life_cycle import Status

_NAMED = 100  # of the ids, in a tag: MLflow takes 100,000 characters, and a history may have more


@dataclass(frozen=True)
class Decided:
    """What is to become of a version.

    Attributes:
        version: the version.
        drawn: ids of the requests that the champion has forgotten and it has not.
        act: what to do with it.
    """

    version: ModelVersion
    drawn: tuple[str, ...]
    act: Superseded

    def __str__(self) -> str:
        return f"still draws {self.named()}: {self.act}"

    def named(self) -> str:
        """What it draws, for people; of very many the first."""
        more = f" and {len(self.drawn) - _NAMED:,} more" if len(self.drawn) > _NAMED else ""
        return f"{SEPARATOR.join(self.drawn[:_NAMED])}{more}"


def decide(inbox: Inbox, registry: Registry, policy: Superseded) -> list[Decided]:
    """What is to become of every version.

    One is superseded if it is neither champion nor former champion, nor made from the champion: those may be in service
    next. Nothing is deleted while a request that the champion has forgotten is still to be closed, for its certificate
    may be chained to that.
    """
    current, former = inbox.champions.current(), inbox.champions.former()
    covered = inbox.champions.covered_by(current.version) if current else ()
    if policy == "delete" and any(e.id in covered and e.state.status is not Status.CLOSED for e in inbox.requests()):
        policy = "keep"
    decided = []
    for version, drawn in still_drawn(inbox, registry.history()):
        kept = current is None or version.version in (current.version, former) or version.made_from == current.version
        decided.append(Decided(version, drawn, "keep" if kept or not drawn else policy))
    return decided


def settle_superseded(registry: Registry, decided: Iterable[Decided]) -> None:
    """Mark, hide and delete versions as decided; take marks away that no longer hold. Done again it changes nothing."""
    for each in decided:
        if each.act == "delete":
            registry.delete(each.version.version)
            copy = STATE / "models" / each.version.digest.replace(":", "-")
            shutil.rmtree(copy, ignore_errors=True)  # of a store on another machine
            continue
        hidden = "true" if each.act == "hide" else ""
        for tag, value in ((DRAWS, each.named()), (HIDDEN, hidden)):
            if each.version.tags.get(tag, "") != value:
                registry.tag(each.version.version, tag, value)
