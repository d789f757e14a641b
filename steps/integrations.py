"""Integrations of ZenML that Expunge does without.

When a pipeline is compiled ZenML activates the integration of every package that is installed, to learn its
materializers: those below import torch, scikit-learn, MLflow, pandas and SciPy, eight seconds of CPU, mostly for
materializers that pickle and services that Expunge never starts. A class of an integration's name takes its place in
ZenML's registry; all else about it stays, so a stack with an MLflow experiment tracker still finds it.
"""

from zenml.integrations.integration import Integration
from zenml.integrations.mlflow import MlflowIntegration
from zenml.integrations.pandas import PandasIntegration
from zenml.integrations.pytorch import PytorchIntegration
from zenml.integrations.scipy import ScipyIntegration
from zenml.integrations.sklearn import SklearnIntegration

IDLE = (MlflowIntegration, PandasIntegration, PytorchIntegration, ScipyIntegration, SklearnIntegration)


def _activate(cls: type[Integration]) -> None:
    """Import nothing: what is needed of it is imported where it is needed."""


for integration in IDLE:  # ZenML registers every class that derives from Integration, by its NAME
    type(f"Idle{integration.__name__}", (integration,), {"activate": classmethod(_activate)})
