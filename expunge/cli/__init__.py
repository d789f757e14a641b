"""The command line ``expunge``."""

from expunge.cli.app import main

__all__ = ["main"]
