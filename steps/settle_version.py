"""Make the registered version champion, if the gate let it pass, and close its requests."""

from typing import Annotated

from zenml import step

import materializers  # noqa: F401
from expunge.release.model_version import ModelVersion
from expunge.release.registry import Registry
from expunge.release.settling import Settling
from expunge.reports.certificate_page import render_certificate
from expunge.takedown.inbox import Inbox
from expunge.takedown.object_store import open_store


@step(enable_cache=False)
def settle_version(inbox: str, version: ModelVersion, owner: str) -> Annotated[str, "settled"]:
    """``promoted``, ``failed``, ``waiting`` for a person, or ``overtaken`` by another run, which closes nothing."""
    box = Inbox(open_store(inbox), version.name)
    return Settling(box, Registry(name=version.name), version.version, render_certificate).settle(owner)
