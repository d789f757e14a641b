"""Finish instead of repeat: what a run that died had registered already is promoted and closed, not done again."""

from collections.abc import Callable

from expunge.release.certificate import Certificate
from expunge.release.model_version import ModelVersion
from expunge.release.promotion import follow
from expunge.release.registry import Registry
from expunge.release.settling import Settling
from expunge.release.withdrawal import withdraw
from expunge.takedown.inbox import Inbox
from expunge.takedown.life_cycle import Outcome
from expunge.takedown.request import TakedownBatch, TakedownRequest


def finish(
    inbox: Inbox, registry: Registry, batch: TakedownBatch, page_of: Callable[[Certificate], str], owner: str
) -> TakedownBatch:
    """Settle the versions that carry claimed requests; returns what is left to be done.

    A version carries a request if it was made for that very request, and nobody closed that since. One that passed but
    is not champion yet is promoted only if all its requests are in the batch, and nobody overtook or rolled it back.

    Args:
        inbox: opened for the registered model.
        batch: as it was claimed by ``owner``.
        page_of: renders a certificate as HTML.
    """
    registry.end_dead_runs()
    champion = follow(inbox.champions, registry)
    withdraw(inbox.champions, registry)
    approved = [each.id for each in inbox.requests() if each.state.wait and each.state.wait.version == champion]
    if champion is not None and approved:  # whoever approved it came no further
        Settling(inbox, registry, champion, page_of).close(approved)
    left = {request.id: request for request in batch.requests}
    forgotten = list(batch.forgotten)
    for version in registry.history() if left else ():
        if not set(version.requests) & set(left) or "registered_at" not in version.tags:
            continue  # versions of before were registered without findings
        settling = Settling(inbox, registry, version.version, page_of)
        asked = {each.id: each for each in settling.findings.case.batch.requests}
        carried = [id for id, request in left.items() if asked.get(id) == request]
        done = _finish_one(inbox, registry, settling, carried, owner)
        forgotten += [left[id] for id in done if inbox.state(id).outcome is Outcome.FULFILLED]
        left = {id: request for id, request in left.items() if id not in done}
    return TakedownBatch(requests=tuple(left.values()), forgotten=_once(forgotten))


def _finish_one(inbox: Inbox, registry: Registry, settling: Settling, carried: list[str], owner: str) -> list[str]:
    """Settle one version for the requests that it carries; returns those that are done."""
    version, entries = settling.version, inbox.champions.entries()
    crowned = any(each.version == version.version for each in entries)
    if crowned and settling.findings.decision.passed:
        by_champion = inbox.champions.covered_by(entries[-1].version)
        covered = [id for id in carried if id in by_champion]
        settling.close(covered, owner)
        return covered
    left = [id for id in carried if not _closed_since(inbox, id, version)]
    if not settling.findings.decision.passed:
        settling.close(left, owner)  # the others may be closed already
        if left:
            registry.call_challenger(version.version)
        return left
    if crowned or set(left) != set(version.requests):
        return []
    return left if settling.settle(owner) != "overtaken" else []


def _closed_since(inbox: Inbox, request_id: str, version: ModelVersion) -> bool:
    """Whether the request came to an end after the version was registered: then it was asked for again on purpose."""
    ends = [event.time for event in inbox.state(request_id).history if event.status in set(Outcome)]
    return bool(ends) and max(ends) > version.registered_at


def _once(requests: list[TakedownRequest]) -> tuple[TakedownRequest, ...]:
    return tuple({request.id: request for request in requests}.values())
