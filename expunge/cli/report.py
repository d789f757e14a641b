"""``expunge report``: where the latest report lies."""

import click

from expunge.cli.output import as_json, print_json, say
from expunge.errors import ExpungeError


@click.command()
@click.option("--open", "open_it", is_flag=True, help="Open it in the browser.")
@as_json
def report(open_it: bool, machine: bool) -> None:
    """Show where the latest report lies, or open it."""
    from expunge.release.registry import Registry  # mlflow takes seconds to import

    path = Registry().latest_report()
    if path is None:
        raise ExpungeError("there is no report yet: run unlearn_pipeline, which writes one")
    if machine:
        print_json({"report": str(path)})
    else:
        say(str(path))
    if open_it and click.launch(str(path)) != 0:
        raise ExpungeError(f"no browser could be started; open {path} yourself")
