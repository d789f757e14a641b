"""Thin ZenML steps: typed artifacts in and out, one call into ``expunge``. This registers the materializers too."""

import materializers  # noqa: F401
