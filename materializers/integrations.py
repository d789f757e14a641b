"""Integrations of ZenML that Expunge does without.

When a pipeline is compiled ZenML activates the integration of every package that is installed, to learn its
materializers. Those below import torch, scikit-learn and MLflow (eight seconds of CPU) to register materializers
that pickle and services that Expunge never starts. A class of an integration's name takes its place in ZenML's
registry; all else about it stays, so a stack that has an MLflow experiment tracker still finds it.
"""

from zenml.integrations.mlflow import MlflowIntegration
from zenml.integrations.pytorch import PytorchIntegration
from zenml.integrations.sklearn import SklearnIntegration


class QuietMlflow(MlflowIntegration):
    """MLflow is used by ``expunge/release`` alone."""

    @classmethod
    def activate(cls) -> None:
        """Nothing to import."""


class QuietPytorch(PytorchIntegration):
    """Models have materializers of their own, in safetensors."""

    @classmethod
    def activate(cls) -> None:
        """Nothing to import."""


class QuietSklearn(SklearnIntegration):
    """No estimator is an artifact."""

    @classmethod
    def activate(cls) -> None:
        """Nothing to import."""
