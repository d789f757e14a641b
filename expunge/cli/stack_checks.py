"""What a set-up needs, asked piece by piece. Nothing is shown of credentials; they come from the environment."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from secrets import token_bytes

import psutil

from expunge.errors import ExpungeError, explained

# One hidden object that stays in the inbox, where nothing can be taken away.
PROBE = ".stack-check"
KEYS = {"certificate": "EXPUNGE_SIGNING_KEY", "model": "EXPUNGE_MODEL_SIGNING_KEY"}
APART_SECONDS = 180.0
APART = 60  # seconds between two clocks; an object store refuses from 900 on, and leases and claims are held by time


@dataclass(frozen=True)
class Finding:
    """One piece of the set-up.

    Attributes:
        what: which.
        ok: whether it is there and works.
        found: what was seen.
        remedy: what to do, empty if it is well.
    """

    what: str
    ok: bool
    found: str
    remedy: str = ""


class Missing(ExpungeError):
    """A piece that is not there, with a remedy of its own."""

    def __init__(self, found: str, remedy: str) -> None:
        super().__init__(found)
        self.remedy = remedy


def check_stack(
    inbox: str, model: str, kubernetes: Path | None = None, kubeflow: Path | None = None, image: str = ""
) -> list[Finding]:
    """Ask for every piece.

    Args:
        inbox: a folder or ``s3://BUCKET/PREFIX``.
        model: the registered model.
        kubernetes: settings of a cluster, which is asked too, and for the schedule instead of this machine.
        kubeflow: settings of a Kubeflow pipeline, likewise; it keeps its schedules to itself.
        image: that the pipeline is compiled for.
    """
    from expunge.release.store_check import log_in, reach, read_registry  # mlflow takes seconds to import
    from expunge.release.tracking import default_tracking_uri

    uri = default_tracking_uri()
    login = (
        "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, e.g. from the runner's account (infra/README.md)"
    )
    server = asked("tracking store", lambda: reach(uri), "start it (infra/README.md), or check MLFLOW_TRACKING_URI")
    findings = [
        asked("inbox", lambda: _inbox(inbox), "check EXPUNGE_INBOX or the config's inbox, and the AWS_… variables"),
        server,
    ]
    if server.ok:
        read = "have the admin give this account READ on the registered model"
        findings.append(asked("login", lambda: log_in(uri), login))
        findings.append(asked("registry", lambda: read_registry(uri, model), read))
    else:
        findings += [Finding(what, False, "not asked", "see tracking store") for what in ("login", "registry")]
    run_it = "start its server, or choose another: zenml stack list, zenml stack set NAME"
    findings.append(asked("artifact store", _artifact_store, run_it))
    findings += [
        asked(f"{name} key", partial(_key, name), f"chmod 600 it, or name another in {KEYS[name]}") for name in KEYS
    ]
    # Nothing of a cluster is loaded for those who have none.
    if kubernetes:
        from infra.kubernetes.checks import check_kubernetes

        findings += check_kubernetes(kubernetes)
    if kubeflow:
        from infra.kubeflow.checks import check_kubeflow

        findings += check_kubeflow(kubeflow, image)
    if not kubernetes and not kubeflow:
        findings.append(asked("schedule", _schedule, "expunge schedule install --cron '0 3 * * *'"))
    return findings


def asked(what: str, question: Callable[[], str], remedy: str) -> Finding:
    """The answer to a question, or why there is none: its own remedy if it is Missing, else the one given."""
    try:
        return Finding(what, True, question())
    except Missing as error:
        return Finding(what, False, str(error), error.remedy)
    except Exception as error:
        line = explained(error)
        if not line:
            raise
        return Finding(what, False, " ".join(line.split()), remedy)


def asked_apart(
    command: Sequence[str], cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """What a process of its own said: of what this one must not import, or cannot.

    Raises:
        ExpungeError: it said nothing within three minutes.
    """
    try:
        return subprocess.run(command, cwd=cwd, env=env, capture_output=True, encoding="utf-8", timeout=APART_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise ExpungeError(f"no answer within {APART_SECONDS:.0f} s") from error


def compare_clocks(whose: str, before: datetime, there: datetime) -> None:
    """Raise Missing if another clock, read in whole seconds between ``before`` and now, is too far from this one."""
    apart = max((before - there).total_seconds() - 1, (there - datetime.now(UTC)).total_seconds())
    if apart > APART:
        raise Missing(
            f"{whose} clock and this one differ by {apart / 60:.0f} minutes",
            "set both by NTP: claims, leases and the object store's signatures go by time",
        )


def _inbox(place: str) -> str:
    from expunge.takedown.object_store import AlreadyExists, open_store

    if place.startswith("s3://"):
        _bucket(place)
    store, written = open_store(place), token_bytes(16)
    store.replace(PROBE, written)
    if store.read(PROBE, len(written)) != written:
        raise Missing(f"{place} gives back something else than was written", "use a store that reads what it wrote")
    try:
        store.create(PROBE, written)
    except AlreadyExists:
        return f"{place} takes objects, each once"
    raise Missing(
        f"{place} takes an object twice, so two runs could claim one request",
        "use a store that honours If-None-Match: AWS, SeaweedFS, MinIO or Ceph do",
    )


def _bucket(place: str) -> None:
    from expunge.takedown.s3_store import S3Store

    before, there = datetime.now(UTC), S3Store(place).whereabouts()
    if there.clock:
        compare_clocks("the object store's", before, there.clock)
    if there.region not in ("", there.asked):
        raise Missing(
            f"{place} lies in region {there.region}, and requests are made for {there.asked}",
            f"set AWS_DEFAULT_REGION={there.region}, and no other AWS_REGION; or take a bucket near the runs",
        )


def _artifact_store() -> str:
    """Asked in a process of its own: the library knows nothing of ZenML."""
    done = asked_apart([sys.executable, "-m", "infra.artifact_store"])
    answer = done.stdout.strip().rpartition("\n")[2]
    if not answer.startswith("{"):
        said = done.stderr.strip().rpartition("\n")[2]
        raise Missing(
            f"cannot be asked: {said[:200]}", "run this from the project's folder, with ZenML set up (make setup)"
        )
    facts = json.loads(answer)
    if facts["problem"]:
        raise ExpungeError(f"{facts['path']}: {facts['problem']}")
    return f"{facts['path']} of stack {facts['stack']}"


def _key(name: str) -> str:
    """A key that signs, where ``release`` looks for it; one that is not there yet is not made for this."""
    from expunge.release.signing import keys

    kind = {each.name: each for each in (keys.CERTIFICATE, keys.MODEL)}[name]
    if not os.environ.get(kind.variable) and not (keys.KEYS / f"{name}.pem").exists():
        return f"{keys.KEYS / name}.pem is made on first use"
    return f"{keys.private_key_file(kind)} can be read"


def _schedule() -> str:
    from expunge.schedule import crontab, timer_unit

    here = str(Path.cwd())
    timers = [each for each in timer_unit.installed() if each.folder == here]
    lines = [each for each in crontab.installed() if each.folder == here] if crontab.is_here() else []
    if not timers and not lines:
        raise ExpungeError("none is installed for this folder")
    if lines and not timers and not {"cron", "crond"} & {each.info["name"] for each in psutil.process_iter(["name"])}:
        raise Missing("a line in the crontab, but no cron runs here", "start it, e.g.: systemctl start cron")
    return ", ".join(f"{each.name}: next {each.next_times(1)[0]:%Y-%m-%d %H:%M %Z}" for each in timers + lines)
