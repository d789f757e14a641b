"""RG: the restricted gradient as published, 1 + 1 passes a step.

Source: Ko et al., NeurIPS 2024, arXiv 2412.07808, the restricted gradient: under conflict each gradient
loses its component along the other, in the Euclidean product; their weighted sum δ_f + λ δ_r goes to
Adam.

Differs from the paper: formed from three dot products and two scalars instead of flattened vectors, which
gives the same d; the forget loss is truncated (``forget_threshold``). The guarantee does not hold for the
step that Adam
takes: the step report says when it was broken.
"""

from expunge.unlearning.methods.adam_method import AdamSettings, RestrictedMethod
from expunge.unlearning.methods.method_registry import register


@register("restricted_gradient")
class RestrictedGradient(RestrictedMethod[AdamSettings]):
    """Adam along the Euclidean restricted gradient of one forget and one retain batch."""
