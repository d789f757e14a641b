"""How commands speak: tables and plain lines for people, JSON for machines, one red line for errors.

Texts that come from requests are never read as markup.
"""

import json
import math
import sys
from collections.abc import Sequence
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from expunge.progress import console

as_json = click.option("--json", "machine", is_flag=True, help="Print JSON and nothing else on stdout.")


class Number(click.FloatRange):
    """A number in a range; ``nan``, which no comparison catches, is none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read it."""
        number = super().convert(value, param, ctx)
        return self.fail(f"{value} is no number.", param, ctx) if math.isnan(number) else number


def say(text: str, style: str = "") -> None:
    """Print a line for people."""
    console().print(Text(text, style=style), soft_wrap=True)


def print_json(value: Any) -> None:
    """Print JSON for machines; where stdout cannot take every letter, in ASCII alone."""
    plain = not (sys.stdout.encoding or "").lower().startswith("utf")
    click.echo(json.dumps(value, indent=2, ensure_ascii=plain))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table; long cells are folded, never cut."""
    table = Table(header_style="bold", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console().print(table)


def complain(message: str) -> None:
    """Print one red line on stderr."""
    console(stderr=True).print(Text(f"Error: {' '.join(message.split())}", style="red"), soft_wrap=True)
