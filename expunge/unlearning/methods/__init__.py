"""Unlearning methods, one file each, behind one protocol. Importing this package registers them all."""

from expunge.unlearning.methods import (
    concept_ablation,
    erase_diff,
    erased_stable_diffusion,
    gradient_ascent,
    gradient_difference,
    low_rank_erasure,
    nash_bargaining,
    restricted_gradient,
    restricted_gradient_diversified,
    retain_finetuning,
    saliency_unlearning,
    selective_amnesia,
    stepping_metric,
    unified_concept_editing,
)
from expunge.unlearning.methods.method_registry import get_method, method_names, register
from expunge.unlearning.methods.protocol import Method, MethodSettings, MethodStep

__all__ = [
    "Method",
    "MethodSettings",
    "MethodStep",
    "concept_ablation",
    "erase_diff",
    "erased_stable_diffusion",
    "get_method",
    "gradient_ascent",
    "gradient_difference",
    "low_rank_erasure",
    "method_names",
    "nash_bargaining",
    "register",
    "restricted_gradient",
    "restricted_gradient_diversified",
    "retain_finetuning",
    "saliency_unlearning",
    "selective_amnesia",
    "stepping_metric",
    "unified_concept_editing",
]
