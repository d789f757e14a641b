"""Unlearning methods, one file each, behind one class. Importing this package imports every file in it, and each
registers its method: a new one is a new file."""

from importlib import import_module
from pkgutil import iter_modules

from expunge.unlearning.methods.method import Method, MethodSettings, MethodStep, StepSize
from expunge.unlearning.methods.method_registry import get_method, method_names, register

__all__ = ["Method", "MethodSettings", "MethodStep", "StepSize", "get_method", "method_names", "register"]

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
