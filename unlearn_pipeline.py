"""Makes ``zenml pipeline run unlearn_pipeline`` work: the module is the pipeline itself."""

import sys

from pipelines.unlearn_pipeline import unlearn_pipeline

sys.modules[__name__] = unlearn_pipeline  # type: ignore[assignment]
