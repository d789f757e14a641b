"""One run of the main job on the substitute for a cluster, with an inbox, a model and a schedule of its own."""

import threading
import time
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import requests
import yaml

from expunge.schedule.timing import parse_timing
from expunge.takedown.inbox import Inbox
from expunge.takedown.object_store import open_store
from expunge.takedown.standing import next_runs
from infra.kubernetes.cron_jobs import ClusterSchedules
from infra.kubernetes.stack_settings import read_stack_settings
from infra.kubernetes.tick import lease_name
from tests.clusters.conftest import NAMESPACE, wait_for
from tests.clusters.controllers import finished
from tests.clusters.furnished import Furnished
from tests.clusters.objects import Object

LIMIT = 900.0  # seconds that a run may take


class Job:
    """The main job with one request filed.

    Args:
        there: the cluster and what else it needs.
        name: of inbox, model and schedule.
        stack: id of the ZenML stack.
        own: steps with a pod of their own; the others are at work in the pipeline's.

    Attributes:
        ticks: jobs of the schedule, in order.
        second: seconds that a second schedule's tick took, if one fired.
    """

    def __init__(self, there: Furnished, name: str, stack: str, own: Collection[str]) -> None:
        self.there, self.name, self._stack, self._own = there, name, stack, own
        self.cluster = there.cluster
        self.ticks: list[str] = []
        self.second = 0.0
        self._found: dict[str, str] = {}
        self._before = {each["metadata"]["name"] for each in self._all_pods()}
        # Whoever makes a model may do everything with it; to ask for one that is not there is forbidden.
        login = tuple(there.environment[f"MLFLOW_TRACKING_{part}"] for part in ("USERNAME", "PASSWORD"))
        url = f"{there.environment['MLFLOW_TRACKING_URI']}/api/2.0/mlflow/registered-models/create"
        requests.post(url, json={"name": name}, auth=login, timeout=60).raise_for_status()  # type: ignore[arg-type]
        self.request = self.box().file(kind="object", target="cat").request.id
        self.install(name)

    def box(self) -> Inbox:
        """The inbox."""
        return Inbox(open_store(f"s3://expunge/{self.name}/inbox"), self.name)

    def install(self, schedule: str) -> None:
        """A schedule for this job."""
        config = self.there.folder / f"{schedule}.yaml"
        given = yaml.safe_load(self.there.config.read_text(encoding="utf-8"))["parameters"]
        given |= {"inbox": f"s3://expunge/{self.name}/inbox", "registered_model": self.name}
        config.write_text(yaml.safe_dump({"enable_cache": False, "parameters": given}), encoding="utf-8")
        schedules = ClusterSchedules(read_stack_settings(self.there.settings))
        schedules.install(schedule, parse_timing("0 3 * * *", "Europe/Berlin"), config, self._stack)

    def fire(self, schedule: str = "") -> str:
        """Let a schedule fire now, that of this job if none is named. Returns its job's name."""
        cron = self.cluster.objects.get("cronjobs", NAMESPACE, f"expunge-{schedule or self.name}")
        self.ticks.append(self.cluster.controllers.start_now(cron, str(len(self.ticks))))
        return self.ticks[-1]

    def ended(self, tick: str) -> str:
        """``Complete``, ``Failed``, or nothing yet."""
        return finished(self.cluster.objects.get("jobs", NAMESPACE, tick))

    def is_over(self, tick: str) -> bool:
        """Whether a job of the schedule ended, and with it every pod of its run."""
        return bool(self.ended(tick)) and not [pod for pod in self.run_pods() if _phase(pod) in ("Pending", "Running")]

    def wait(self, tick: str) -> str:
        """Until all is over. Returns how the schedule's job ended."""
        wait_for(lambda: self.is_over(tick), LIMIT)
        return self.ended(tick)

    def until_at_work(self, step: str, tick: str) -> bool:
        """Until a step is, in a pod that it was not found in before. Returns whether it is, and not all over before."""
        wait_for(lambda: self.pod_of(step) not in ("", self._found.get(step)) or self.is_over(tick), LIMIT)
        self._found[step] = self.pod_of(step)
        return bool(self._found[step])

    def until_pending(self) -> None:
        """Until a next tick would take the request: at once if claim and lease were given back, else when they end."""
        wait_for(lambda: next_runs(self.box()), 300)
        name = lease_name(f"s3://expunge/{self.name}/inbox", self.name)
        wait_for(lambda: not _holds(self.cluster.objects.get("leases", NAMESPACE, name)["spec"]), 300)

    def _all_pods(self) -> list[Object]:
        return self.cluster.objects.all("pods")

    def run_pods(self, step: str = "") -> list[Object]:
        """Of this job's runs: those that run a step, or all, the pipeline's own too."""
        ours = [each for each in self._all_pods() if each["metadata"]["name"] not in self._before]
        ours = [each for each in ours if "run_id" in each["metadata"]["labels"]]
        return [each for each in ours if step in ("", each["metadata"]["labels"].get("step_name"))]

    def pipeline_pods(self) -> list[Object]:
        """Those that run the pipeline itself, the oldest first."""
        return [each for each in self.run_pods() if "step_name" not in each["metadata"]["labels"]]

    def running(self, pods: list[Object]) -> str:
        """The one of these pods that runs; empty if none does."""
        return next((each["metadata"]["name"] for each in pods if _phase(each) == "Running"), "")

    def pod_of(self, step: str) -> str:
        """The pod in which a step is at work; empty if it is not."""
        if step in self._own:
            return self.running(self.run_pods(step))
        pod = self.running(self.pipeline_pods())
        return pod if pod and self._starts(step, pod) else ""

    def attempts(self, step: str) -> int:
        """How often a step was begun."""
        return sum(self._starts(step, each["metadata"]["name"]) for each in self.pipeline_pods())

    def _starts(self, step: str, pod: str) -> int:
        return self.cluster.logs().get(pod, "").count(f"Step `{step}` has started")

    def last_line(self, tick: str) -> str:
        """What the last pod of a schedule's job said last."""
        logs = self.cluster.logs()
        pods = sorted(name for name in logs if name.rpartition("-")[0] == tick)
        lines = [line.strip() for line in logs[pods[-1]].splitlines() if line.strip()] if pods else []
        errors = [line for line in lines if line.startswith("Error: ")]
        return " / ".join(errors[-2:]) or (lines[-1] if lines else "")

    def fulfilled(self) -> bool:
        """Whether the request is."""
        return self.box().state(self.request).label == "fulfilled"


def _holds(lease: Object) -> bool:
    until = datetime.fromisoformat(lease["renewTime"]) + timedelta(seconds=lease["leaseDurationSeconds"])
    return bool(lease.get("holderIdentity")) and until > datetime.now(UTC)


def _phase(pod: Object) -> str:
    return pod["status"].get("phase", "Pending")


class Watch:
    """Looks whether two processes are ever at work on one step, or two pipelines at once.

    Attributes:
        twice: those of which two were.
    """

    def __init__(self, job: Job) -> None:
        self.twice: set[str] = set()
        self._job = job
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    @contextmanager
    def looking(self) -> Iterator["Watch"]:
        """Ten times a second within the block."""
        self._thread.start()
        try:
            yield self
        finally:
            self._ended.set()
            self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(0.1):
            running = self._job.cluster.controllers.running
            alive = {name for name, each in list(running.items()) if each.outcome is None}
            steps: Counter[Any] = Counter(
                each["metadata"]["labels"].get("step_name", "pipeline")
                for each in self._job.run_pods()
                if each["metadata"]["name"] in alive
            )
            self.twice |= {step for step, number in steps.items() if number > 1}


def seconds_of(job: Job, tick: str) -> float:
    """From now until a tick's job has ended."""
    began = time.monotonic()
    wait_for(lambda: job.ended(tick), 120)
    return time.monotonic() - began
