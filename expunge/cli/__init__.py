"""The command line ``expunge``.

Commands have a parameter for each of their options, as click passes them: here alone functions take more than six.
"""

from expunge.cli.app import main

__all__ = ["main"]
