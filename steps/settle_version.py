"""Make the registered version champion, if the gate let it pass, and close its requests."""

from typing import Annotated

from zenml import step

import materializers  # noqa: F401
from expunge.release.approving import Answer, take_answer
from expunge.release.model_version import ModelVersion
from expunge.release.registry import Registry
from expunge.release.settling import Settling
from expunge.reports.certificate_page import render_certificate
from expunge.takedown.inbox import Inbox
from expunge.takedown.object_store import open_store


@step(enable_cache=False)
def settle_version(
    inbox: str, version: ModelVersion, owner: str, answer: Answer | None = None
) -> Annotated[str, "settled"]:
    """``promoted``, ``failed``, ``waiting`` for a person, ``refused``, or ``overtaken``, which closes nothing.

    Args:
        answer: a person's, where the version waits for one.
    """
    box, registry = Inbox(open_store(inbox), version.name), Registry(name=version.name)
    if answer:
        return take_answer(answer, box, registry, version.version, render_certificate)
    return Settling(box, registry, version.version, render_certificate).settle(owner)
