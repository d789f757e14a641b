"""``expunge schedule``: start ``expunge retrain`` by cron, by systemd, or in a cluster by Kubernetes."""

from datetime import datetime
from pathlib import Path
from typing import Any

import click

from expunge.cli.output import as_json, print_json, print_table, say
from expunge.cli.run_config import read_parameters
from expunge.errors import ExpungeError

NAME = click.option("--name", default="retrain", show_default=True, help="Tells schedules apart.")
KUBERNETES = click.option("--kubernetes", is_flag=True, help="In the cluster that the settings name.")
SETTINGS = click.option(
    "--settings",
    type=click.Path(path_type=Path),
    default=Path("configs/stacks/kubernetes.yaml"),
    show_default=True,
    help="Of the cluster.",
)


@click.group()
def schedule() -> None:
    """Retrain at set times: install, show and remove schedules."""


@schedule.command()
@click.option("--cron", required=True, help="Minute, hour, day, month and weekday, e.g. '0 3 * * *'.")
@click.option("--timezone", default="", help="E.g. Europe/Berlin. [default: the machine's own; in a cluster UTC]")
@click.option("--systemd", is_flag=True, help="A timer of your systemd instead of a line in your crontab.")
@KUBERNETES
@SETTINGS
@NAME
@click.option("--config", type=click.Path(path_type=Path), help="Handed on to expunge retrain.")
@click.option("--env-file", type=click.Path(path_type=Path), help="NAME=VALUE lines, read at each start; mode 0600.")
def install(cron: str, timezone: str, systemd: bool, kubernetes: bool, settings: Path, **given: Any) -> None:
    """Run expunge retrain from this folder, or in a cluster, at set times."""
    if kubernetes:
        if systemd or given["env_file"]:
            raise ExpungeError(
                "kubernetes: takes neither --systemd nor --env-file; its pods have what the settings name."
            )
        _install_in_cluster(settings, cron, timezone, given["name"], given["config"])
    else:
        _install_here(cron, timezone, systemd, given["name"], given["config"], given["env_file"])


def _install_here(
    cron: str, timezone: str, systemd: bool, name: str, config: Path | None, env_file: Path | None
) -> None:
    from expunge.schedule import crontab, timer_unit
    from expunge.schedule.retraining import LOG, plan_retraining
    from expunge.schedule.schedules import Schedule
    from expunge.schedule.timing import parse_timing

    wanted = Schedule(name, parse_timing(cron, timezone), plan_retraining(Path.cwd(), config, env_file))
    other = crontab if systemd else timer_unit
    if name in [each.name for each in _found(other.PLACE)]:
        raise ExpungeError(
            f"name: schedule '{name}' is installed in {other.PLACE}, and would run twice; "
            f"remove it first: expunge schedule remove --name {name}"
        )
    if systemd:
        if not timer_unit.install(wanted):
            say("Your systemd does not run here: the timer starts at your next login.")
        say("A timer of yours runs while you are logged in; to have it run always: loginctl enable-linger")
    else:
        crontab.install(wanted)
    place = (timer_unit if systemd else crontab).PLACE
    first = wanted.timing.next_times(1, datetime.now().astimezone())[0]
    say(f"Installed '{name}' in {place}; runs next at {_minute(first)}, output in {wanted.retraining.folder / LOG}.")


def _install_in_cluster(settings: Path, cron: str, timezone: str, name: str, config: Path | None) -> None:
    from expunge.schedule.timing import parse_timing
    from infra.kubernetes.zenml_stack import find_stack

    timing = parse_timing(cron, timezone or "Etc/UTC")
    if config is not None:
        read_parameters(config)
    schedules = _in_cluster(settings)
    schedules.install(name, timing, config, find_stack(settings))
    first = timing.next_times(1, datetime.now().astimezone())[0]
    say(f"Installed '{name}' in namespace {schedules.settings.namespace}; runs next at {_minute(first)}.")


def _in_cluster(settings: Path) -> Any:
    """The schedules of a cluster. Nothing of one is loaded for those who have none."""
    from infra.kubernetes.cron_jobs import ClusterSchedules
    from infra.kubernetes.stack_settings import read_stack_settings

    return ClusterSchedules(read_stack_settings(settings))


@schedule.command()
@KUBERNETES
@SETTINGS
@as_json
def show(kubernetes: bool, settings: Path, machine: bool) -> None:
    """Show what is installed, and when it runs next."""
    if kubernetes:
        _show_cluster(settings, machine)
        return
    rows = [(place, facts) for place in ("crontab", "systemd") for facts in _found(place)]
    if machine:
        shown = [
            {"place": place, **vars(facts), "next": [each.isoformat() for each in facts.next_times(3)]}
            for place, facts in rows
        ]
        print_json(shown)
    elif rows:
        print_table(
            ["name", "in", "cron", "time zone", "next", "folder"],
            [
                [facts.name, place, facts.cron, facts.timezone or "the machine's", _minute(facts.next_times(1)[0])]
                + [facts.folder]
                for place, facts in rows
            ],
        )
    else:
        say("No schedule is installed. For every night at three: expunge schedule install --cron '0 3 * * *'")


def _show_cluster(settings: Path, machine: bool) -> None:
    from expunge.schedule.timing import parse_timing

    found = _in_cluster(settings).installed()
    if machine:
        print_json([vars(each) for each in found])
        return
    rows = []
    for each in found:
        following = parse_timing(each.cron, each.timezone).next_times(1, datetime.now().astimezone())[0]
        rows.append([each.name, each.cron, each.timezone, "suspended" if each.suspended else _minute(following)])
    if not rows:
        say("No schedule is installed there: expunge schedule install --kubernetes --cron '0 3 * * *'")
        return
    print_table(["name", "cron", "time zone", "next"], rows)


@schedule.command()
@KUBERNETES
@SETTINGS
@NAME
def suspend(kubernetes: bool, settings: Path, name: str) -> None:
    """Let a cluster's schedule rest; what runs now goes on."""
    _rest(kubernetes, settings, name, True)


@schedule.command()
@KUBERNETES
@SETTINGS
@NAME
def resume(kubernetes: bool, settings: Path, name: str) -> None:
    """Let a cluster's schedule that was suspended go on."""
    _rest(kubernetes, settings, name, False)


def _rest(kubernetes: bool, settings: Path, name: str, suspended: bool) -> None:
    if not kubernetes:
        raise ExpungeError("kubernetes: only a cluster's schedule can rest; give --kubernetes, or remove the schedule.")
    _in_cluster(settings).suspend(name, suspended)
    say(f"{'Suspended' if suspended else 'Resumed'} '{name}'.")


@schedule.command()
@KUBERNETES
@SETTINGS
@NAME
def remove(kubernetes: bool, settings: Path, name: str) -> None:
    """Remove a schedule; what runs now goes on."""
    if kubernetes:
        _in_cluster(settings).remove(name)
        say(f"Removed '{name}' from the cluster.")
        return
    from expunge.schedule import crontab, timer_unit
    from expunge.schedule.schedules import check_name

    check_name(name)
    removed = [each.PLACE for each in (crontab, timer_unit) if each.remove(name)]
    if not removed:
        raise ExpungeError(f"name: no schedule '{name}' is installed; see: expunge schedule show")
    say(f"Removed '{name}' from {' and '.join(removed)}.")


def _found(place: str) -> list:
    from expunge.schedule import crontab, timer_unit

    if place == timer_unit.PLACE:
        return timer_unit.installed()
    return crontab.installed() if crontab.is_here() else []


def _minute(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M %Z}"
