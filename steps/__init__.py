"""Thin ZenML steps: typed artifacts in and out, one call into ``expunge``.

Every step imports ``materializers``, which tells ZenML how our types are stored; only the one that an empty run ends
with, ``collect_takedowns``, has no such type and stays light.
"""

# Before ZenML compiles a pipeline, and before anything connects to a store, whichever step it begins with.
from expunge.freed_memory import keep_freed_memory
from steps import integrations, patience  # noqa: F401

keep_freed_memory()
