"""Thin ZenML steps: typed artifacts in and out, one call into ``expunge``. Importing them registers the materializers."""

import materializers  # noqa: F401
