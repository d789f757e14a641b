"""Purge what shows a target whose request is closed."""

from typing import Annotated

from zenml import step

import materializers  # noqa: F401
from expunge.release.purging import Purged
from expunge.release.retention import RetentionSettings
from steps.artifact_purge import purge_everything


@step(enable_cache=False)
def purge_forbidden(inbox: str, registered_model: str, retention: RetentionSettings) -> Annotated[Purged, "purged"]:
    """Pictures and gradients leave every store, by the policy; earlier versions that still draw it are marked."""
    return purge_everything(inbox, registered_model, retention)
