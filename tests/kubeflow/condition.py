"""The conditions that Kubeflow's compiler writes for ``dsl.If``, ``dsl.Elif`` and ``dsl.Else``."""

import operator
import re
from collections.abc import Mapping
from typing import Any

COMPARED = {
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_ONE = re.compile(
    r"(?:(?P<cast>int|double|string)\()?inputs\.parameter_values\['(?P<name>[^']+)'\](?(cast)\)) "
    r"(?P<how>==|!=|>=|<=|>|<) (?P<value>-?\d+(?:\.\d+)?|'[^']*'|true|false)"
)
_NOT = re.compile(r"!\((?P<inner>[^&|]*)\)")
CAST = {"int": int, "double": float, "string": str, None: lambda value: value}


def holds(condition: str, values: Mapping[str, Any]) -> bool:
    """Whether a condition holds.

    Args:
        condition: comparisons with a constant, each perhaps in ``!(…)``, joined by ``&&``.
        values: of the task's parameters.

    Raises:
        ValueError: it is none of these.
    """
    return all(_one(" ".join(part.split()), values) for part in condition.split("&&"))


def _one(condition: str, values: Mapping[str, Any]) -> bool:
    if negated := _NOT.fullmatch(condition):
        return not _one(negated["inner"].strip(), values)
    match = _ONE.fullmatch(condition)
    if match is None:
        raise ValueError(f"condition {condition!r} is not known here")
    found = CAST[match["cast"]](values[match["name"]])
    text = match["value"]
    constant: Any = {"true": True, "false": False}.get(text)
    if constant is None:
        constant = text.strip("'") if text.startswith("'") else float(text)
    return bool(COMPARED[match["how"]](found, constant))
