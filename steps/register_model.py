"""Register the unlearned model, whether or not it passed."""

from typing import Annotated

from zenml import step
from zenml.types import HTMLString

import materializers  # noqa: F401
from expunge.models.text_to_image import TextToImage
from expunge.release.findings import Findings
from expunge.release.model_version import ModelVersion
from expunge.release.registration import register


@step(enable_cache=False)
def register_model(
    model: TextToImage, findings: Findings, registered_model: str, report: HTMLString
) -> Annotated[ModelVersion, "registered_version"]:
    """A version with everything that promotion and certificates rest on. The same weights are registered once."""
    return register(model, findings, registered_model, str(report))
