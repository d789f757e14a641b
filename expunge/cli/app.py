"""The root of the command line: imports commands when they are run, and shows errors as one line."""

import os
import sys
from importlib import import_module
from typing import Any, NoReturn

import click

from expunge.cli.output import complain
from expunge.errors import explained
from expunge.freed_memory import keep_freed_memory
from expunge.progress import make_streams_safe

# name: (module, one line for --help); the module's attribute has the command's name.
COMMANDS = {
    "takedown": ("expunge.cli.takedown", "File, list and mend takedown requests."),
    "retrain": ("expunge.cli.retrain", "Work on what is pending; made for a schedule."),
    "status": ("expunge.cli.status", "Show what is pending, running, overdue, failed and done."),
    "champion": ("expunge.cli.champion", "Show the champion and its history."),
    "approve": ("expunge.cli.approve", "Approve a version that passed the gate."),
    "refuse": ("expunge.cli.approve", "Refuse a version that passed the gate."),
    "roll-back": ("expunge.cli.roll_back", "Make the former champion the champion again."),
    "draw": ("expunge.cli.draw", "Draw a prompt with two model versions side by side."),
    "evaluate": ("expunge.cli.evaluate", "Measure a model against another one."),
    "export": ("expunge.cli.export", "Write a model for other programs: folder, adapter or single file."),
    "convert": ("expunge.cli.convert", "Make safetensors of pickled weights."),
    "certificate": ("expunge.cli.certificates", "Verify a certificate, or export what it says."),
    "purge": ("expunge.cli.purge", "Remove pictures of what was taken down."),
    "report": ("expunge.cli.report", "Show or open the latest report."),
    "doctor": ("expunge.cli.doctor", "Say whether a model fits into memory, before it is loaded."),
    "stack": ("expunge.cli.stack", "Say what is missing for the set-up."),
    "schedule": ("expunge.cli.schedule", "Retrain at set times, by cron or systemd."),
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are run, so that ``--help`` starts at once."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of ``COMMANDS``."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Import a command."""
        return getattr(import_module(COMMANDS[name][0]), name.replace("-", "_")) if name in COMMANDS else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run a command; what a user can mend becomes one red line on stderr and exit code 2."""
        make_streams_safe()
        keep_freed_memory()
        try:
            try:
                return super().main(*args, **extra)
            finally:
                sys.stdout.flush()  # here, where a full disk can still be told
        except BrokenPipeError:
            _leave(1)
        except Exception as error:
            line = explained(error)
            if not line:
                raise
            complain(line)
            _leave(2)


def _leave(code: int) -> NoReturn:
    """End; if stdout takes nothing more, without Python's own complaint about it."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Expunge takes takedown requests for a text-to-image model and shows what became of them."""
