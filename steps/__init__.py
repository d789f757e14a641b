"""Thin ZenML steps: typed artifacts in and out, one call into ``expunge``.

Every step imports ``materializers``, which tells ZenML how our types are stored; only the one that an empty run ends
with, ``collect_takedowns``, has no such type and stays light.
"""

from steps import integrations  # noqa: F401  before ZenML compiles a pipeline, whichever step it begins with
