"""Unlearning methods, one file each, behind one protocol. Importing this package registers them all."""

from expunge.unlearning.methods import (
    gradient_ascent,
    gradient_difference,
    restricted_gradient,
    restricted_gradient_diversified,
    retain_finetuning,
    stepping_metric,
)
from expunge.unlearning.methods.protocol import Method, MethodSettings, MethodStep
from expunge.unlearning.methods.registry import get_method, method_names, register

__all__ = [
    "Method",
    "MethodSettings",
    "MethodStep",
    "get_method",
    "gradient_ascent",
    "gradient_difference",
    "method_names",
    "register",
    "restricted_gradient",
    "restricted_gradient_diversified",
    "retain_finetuning",
    "stepping_metric",
]
