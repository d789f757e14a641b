"""Telling requests apart whose target the model does not draw: they are closed with the evidence, the others go on."""

from datetime import UTC, datetime

from expunge.evaluation.look import ABSENT, Look, TargetLook
from expunge.release.base_model import BaseModelFacts
from expunge.takedown.absence import Absence, Found
from expunge.takedown.inbox import Inbox
from expunge.takedown.life_cycle import NotHeld
from expunge.takedown.request import TakedownBatch


def close_absent(inbox: Inbox, batch: TakedownBatch, look: Look, base: BaseModelFacts, owner: str) -> TakedownBatch:
    """Close the requests of a batch that have nothing to remove; returns the batch of the others.

    One that somebody else holds by now is left to them.

    Args:
        inbox: opened for the registered model.
        batch: as it was claimed by ``owner``.
        look: at the targets of that batch.
        base: the model that was looked at.
    """
    absent = {each.request_id: each for each in look.targets if each.verdict == ABSENT}
    for request_id, target in absent.items():
        try:
            inbox.close_absent(request_id, _absence(target, look, base, owner), owner)
        except NotHeld as error:
            print(error)
    left = tuple(each for each in batch.requests if each.id not in absent)
    return batch.model_copy(update={"requests": left})


def _absence(target: TargetLook, look: Look, base: BaseModelFacts, owner: str) -> Absence:
    return Absence(
        source=base.source,
        version=base.version,
        digest=base.digest,
        judges=look.judges,
        judges_digest=look.judges_digest,
        found=tuple(_found(target, judge) for judge in target.shares),
        limit=look.limit,
        pictures=max(each.samples for each in target.shares.values()),
        wordings=look.wordings,
        prompts_digest=look.prompts_digest,
        run=owner,
        at=datetime.now(UTC),
    )


def _found(target: TargetLook, judge: str) -> Found:
    share = target.shares[judge]
    return Found(judge=judge, share=share.value, low=share.low, high=share.high, taken_for=target.taken_for[judge])
