"""How commands speak: tables and plain lines for people, JSON for machines, one red line for errors.

Texts that come from requests are never read as markup.
"""

import json
from collections.abc import Sequence
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

as_json = click.option("--json", "machine", is_flag=True, help="Print JSON and nothing else on stdout.")


def say(text: str, style: str = "") -> None:
    """Print a line for people."""
    Console().print(Text(text, style=style), soft_wrap=True)


def print_json(value: Any) -> None:
    """Print JSON for machines."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table; long cells are folded, never cut."""
    table = Table(header_style="bold", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)


def complain(message: str) -> None:
    """Print one red line on stderr."""
    Console(stderr=True).print(Text(f"Error: {' '.join(message.split())}", style="red"), soft_wrap=True)
