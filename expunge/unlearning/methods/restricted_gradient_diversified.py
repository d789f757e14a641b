"""RGD: the restricted gradient as published, its retain gradient averaged over the balanced retain set.

Source: Ko et al., NeurIPS 2024, arXiv 2412.07808, restricted gradient with diversified data.

Differs from the paper: as `restricted_gradient`; how much of the retain set is averaged at each step can
be set.
"""

from typing import ClassVar

from pydantic import Field

from expunge.unlearning.methods.adam_method import AdamSettings, RestrictedMethod
from expunge.unlearning.methods.method import MethodSettings
from expunge.unlearning.methods.method_registry import register


class DiversifiedSettings(AdamSettings):
    """Options of RGD."""

    retain_batches: int | None = Field(
        default=None, ge=1, description="retain batches a step; None: as many as show the whole retain set"
    )


@register("restricted_gradient_diversified")
class RestrictedGradientDiversified(RestrictedMethod[DiversifiedSettings]):
    """Adam along the Euclidean restricted gradient of one forget batch and many balanced retain batches."""

    settings_type: ClassVar[type[MethodSettings]] = DiversifiedSettings

    def retain_batches(self, batches_to_cover: int) -> int:
        """As set, or the whole retain set."""
        return self.settings.retain_batches or batches_to_cover
