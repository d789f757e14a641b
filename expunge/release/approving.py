"""A person's word on a version that passed the gate and waits for it."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from expunge.errors import ExpungeError
from expunge.release.certificate import Certificate
from expunge.release.registry import Registry
from expunge.release.settling import Settled, Settling
from expunge.takedown.champion_log import Approval
from expunge.takedown.entry import Entry
from expunge.takedown.inbox import Inbox
from expunge.takedown.life_cycle import Outcome


class Answer(BaseModel):
    """What somebody says to a version: yes or no, who they are, and why. All of it goes on record."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)
    approved: bool
    name: str = Field(min_length=1)
    reason: str = Field(min_length=1)


def waiting_for(inbox: Inbox, version: int) -> list[Entry]:
    """The requests that wait for somebody's word on a version.

    Raises:
        ExpungeError: there is none; the message says which versions are waited for.
    """
    waiting = [entry for entry in inbox.requests() if entry.state.wait]
    if found := [entry for entry in waiting if entry.state.wait and entry.state.wait.version == version]:
        return found
    others = sorted({entry.state.wait.version for entry in waiting if entry.state.wait})
    raise ExpungeError(
        f"version: {version} waits for no approval: it was overtaken, its time is over, it was answered, or it "
        f"never passed the gate. Waiting: {', '.join(map(str, others)) or 'none'}"
    )


def take_answer(
    answer: Answer, inbox: Inbox, registry: Registry, version: int, page_of: Callable[[Certificate], str]
) -> Settled | Literal["refused"]:
    """As ``act_on``, for a run that has waited for the answer: what became of the version meanwhile is taken as it is.

    It may have been approved or refused elsewhere, its time may be over, or another run may have overtaken it.
    """
    waits = [entry.state.wait for entry in inbox.requests() if entry.state.wait]
    if any(each.version == version for each in waits):
        return act_on(answer, inbox, registry, version, page_of)
    current = inbox.champions.current()
    champion = current.version if current else None
    if champion == version:
        return "promoted"
    return "overtaken" if champion != registry.get(version).made_from else "refused"


def act_on(
    answer: Answer, inbox: Inbox, registry: Registry, version: int, page_of: Callable[[Certificate], str]
) -> Settled | Literal["refused"]:
    """Promote a version that waits and close its requests, or close them as failed; the champion stays then.

    Raises:
        ExpungeError: nothing waits for that version.
    """
    waits = waiting_for(inbox, version)
    if answer.approved:
        approval = Approval(name=answer.name, reason=answer.reason, at=datetime.now(UTC))
        return Settling(inbox, registry, version, page_of).settle(approval=approval)
    for entry in waits:
        inbox.close(entry.id, Outcome.FAILED, f"{answer.name} refused version {version}: {answer.reason}")
    return "refused"
