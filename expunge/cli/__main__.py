"""``python -m expunge.cli``, where the script ``expunge`` is not on the path."""

from expunge.cli.app import main

main()
