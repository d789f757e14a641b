"""What Kubernetes' controllers do with jobs and cron jobs, as far as the substitute goes."""

import signal
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from croniter import croniter

from tests.clusters.objects import Object, Objects, Refusal, now
from tests.clusters.pods import Host, Running, Waiting, start_pod


class Controllers:
    """Makes the pods of jobs, follows them, and ends jobs by backoff limit, failure policy and deadline.

    Pods are made again at once, where Kubernetes waits 10 s, 20 s, and so on.
    """

    def __init__(self, objects: Objects, host: Host) -> None:
        self.objects, self.host = objects, host
        self.running: dict[str, Running] = {}
        self._disrupted: dict[str, str] = {}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._go_on, daemon=True)
        self.problem: BaseException | None = None

    def start(self) -> None:
        """Begin to look after jobs, ten times a second."""
        self._thread.start()

    def stop(self) -> None:
        """End all pods."""
        self._stopped.set()
        self._thread.join()
        for each in self.running.values():
            each.end(signal.SIGKILL)
        until = time.monotonic() + 20
        while any(each.outcome is None for each in self.running.values()) and time.monotonic() < until:
            time.sleep(0.05)

    def kill(self, pod: str) -> None:
        """End a pod's processes as the kernel does that is out of memory."""
        self.running[pod].end(signal.SIGKILL)

    def evict(self, pod: str, reason: str = "EvictionByEvictionAPI", number: int = signal.SIGTERM) -> None:
        """Take a pod from its node: it is asked to end, and the job learns that this was no failure of its own."""
        self._disrupted[pod] = reason
        self.running[pod].end(number)

    def lose(self, node: str) -> None:
        """A node is gone, and every pod on it at once; nothing is placed there any more."""
        with self.objects.changing("nodes", "", node) as each:
            each["status"]["conditions"] = [{"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown"}]
        for pod in self.objects.all("pods"):
            if pod["spec"].get("nodeName") == node and _phase(pod) == "Running":
                self.evict(pod["metadata"]["name"], "DeletionByTaintManager", signal.SIGKILL)

    def tick(self, at: datetime) -> list[str]:
        """It is a certain minute: start the jobs of the cron jobs that fire in it. Returns the jobs' names."""
        started = []
        for cron in self.objects.all("cronjobs", fits=lambda each: not each["spec"].get("suspend")):
            spec, metadata = cron["spec"], cron["metadata"]
            zone = ZoneInfo(spec.get("timeZone", "UTC"))
            if not croniter.match(spec["schedule"], at.astimezone(zone)):
                continue
            ours = self._jobs_of(cron)
            active = [each for each in ours if not finished(each)]
            if active and spec.get("concurrencyPolicy") == "Forbid":
                continue
            if active and spec.get("concurrencyPolicy") == "Replace":
                for each in active:
                    self.objects.delete("jobs", metadata["namespace"], each["metadata"]["name"])
            started.append(self.start_now(cron, f"{int(at.timestamp()) // 60}"))
        return started

    def start_now(self, cron: Object, suffix: str) -> str:
        """Make a job from a cron job's template, as ``kubectl create job --from`` does. Returns its name."""
        metadata, template = cron["metadata"], cron["spec"]["jobTemplate"]
        owner = {"apiVersion": "batch/v1", "kind": "CronJob", "name": metadata["name"], "uid": metadata["uid"]}
        given = template.get("metadata", {}) | {
            "name": f"{metadata['name']}-{suffix}",
            "ownerReferences": [owner | {"controller": True}],
        }
        job = self.objects.create("jobs", metadata["namespace"], {"metadata": given, "spec": template["spec"]})
        return job["metadata"]["name"]

    def _jobs_of(self, cron: Object) -> list[Object]:
        uid = cron["metadata"]["uid"]
        return self.objects.all("jobs", fits=lambda job: uid in _owners(job))

    def _go_on(self) -> None:
        try:
            while not self._stopped.wait(0.1):
                for job in self.objects.all("jobs", fits=lambda each: not finished(each)):
                    self._look_after(job)
                for cron in self.objects.all("cronjobs"):
                    self._tidy(cron)
                gone = set(self.running) - {each["metadata"]["name"] for each in self.objects.all("pods")}
                for name in gone:
                    self.running[name].end(signal.SIGKILL)
        except BaseException as error:  # shown by whoever waits for something
            self.problem = error
            raise

    def _tidy(self, cron: Object) -> None:
        ours = [each for each in self._jobs_of(cron) if finished(each)]
        for ending, key, default in (
            ("Complete", "successfulJobsHistoryLimit", 3),
            ("Failed", "failedJobsHistoryLimit", 1),
        ):
            ended = [each for each in ours if finished(each) == ending]
            for each in ended[: max(0, len(ended) - cron["spec"].get(key, default))]:
                self.objects.delete("jobs", cron["metadata"]["namespace"], each["metadata"]["name"])

    def _look_after(self, job: Object) -> None:
        namespace, spec = job["metadata"]["namespace"], job["spec"]
        pods = self.objects.all("pods", namespace, lambda pod: job["metadata"]["uid"] in _owners(pod))
        for pod in pods:
            self._follow(pod)
        pods = self.objects.all("pods", namespace, lambda pod: job["metadata"]["uid"] in _owners(pod))
        counted, said = 0, ""
        for pod in pods:
            action = _action(spec, pod) if _phase(pod) == "Failed" else ""
            counted += action == "Count"
            said = "PodFailurePolicy" if action == "FailJob" else said
        deadline = spec.get("activeDeadlineSeconds")
        began = datetime.fromisoformat(job["metadata"]["creationTimestamp"])
        if any(_phase(pod) == "Succeeded" for pod in pods):
            return self._end(job, "Complete", "CompletionsReached", "Reached expected number of succeeded pods")
        if said:
            return self._end(
                job, "Failed", said, "a container exited with a code that the failure policy ends the job on"
            )
        if deadline and datetime.now(UTC) - began > timedelta(seconds=deadline):
            return self._end(job, "Failed", "DeadlineExceeded", "Job was active longer than specified deadline")
        if counted > spec.get("backoffLimit", 6):
            return self._end(job, "Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit")
        if not [pod for pod in pods if _phase(pod) in ("Pending", "Running")]:
            self._make_pod(job, len(pods))
        return None

    def _make_pod(self, job: Object, number: int) -> None:
        namespace, name = job["metadata"]["namespace"], job["metadata"]["name"]
        template = job["spec"]["template"]
        owner = {"apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": job["metadata"]["uid"]}
        metadata = template.get("metadata", {}) | {
            "name": f"{name}-{number}",
            "labels": template.get("metadata", {}).get("labels", {}) | {"job-name": name},
            "ownerReferences": [owner | {"controller": True}],
        }
        account = template["spec"].get("serviceAccountName", "default")
        try:
            self.objects.get("serviceaccounts", namespace, account)
        except Refusal:
            message = f'error looking up service account {namespace}/{account}: serviceaccount "{account}" not found'
            self._say(job, "FailedCreate", message)
            return
        pod = self.objects.create("pods", namespace, {"metadata": metadata, "spec": template["spec"]})
        with self.objects.changing("pods", namespace, pod["metadata"]["name"]) as each:
            each["status"] = {"phase": "Pending"}

    def _follow(self, pod: Object) -> None:
        """Bring a pod's status up to date with its processes."""
        namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
        if _phase(pod) == "Pending":
            status: dict[str, Any] = {"phase": "Pending"}
            node = self._node_for(pod)
            if node is None:
                unplaced = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
                status["conditions"] = [unplaced | {"message": "no node is ready that the node selector fits"}]
            else:
                try:
                    self.running[name] = start_pod(pod, self.objects, self.host)
                    status = {"phase": "Running", "startTime": now()}
                except Waiting as error:
                    status["containerStatuses"] = [
                        _container(pod, {"waiting": {"reason": error.reason, "message": str(error)}})
                    ]
            with self.objects.changing("pods", namespace, name) as each:
                each["status"] = status
                if status["phase"] == "Running":
                    each["spec"]["nodeName"] = node
            return
        running = self.running.get(name)
        if _phase(pod) != "Running" or running is None or running.outcome is None:
            return
        code = running.outcome
        reason = "Completed" if code == 0 else "OOMKilled" if code == 137 else "Error"
        with self.objects.changing("pods", namespace, name) as each:
            each["status"]["phase"] = "Succeeded" if code == 0 else "Failed"
            each["status"]["containerStatuses"] = [
                _container(pod, {"terminated": {"exitCode": code, "reason": reason, "finishedAt": now()}})
            ]
            if name in self._disrupted:
                disruption = {"type": "DisruptionTarget", "status": "True", "reason": self._disrupted[name]}
                each["status"]["conditions"] = [disruption | {"lastTransitionTime": now()}]
                each["status"]["phase"] = "Failed"

    def _node_for(self, pod: Object) -> str | None:
        wanted = pod["spec"].get("nodeSelector", {}).items()
        for node in self.objects.all("nodes"):
            ready = any(each["type"] == "Ready" and each["status"] == "True" for each in node["status"]["conditions"])
            if ready and wanted <= node["metadata"].get("labels", {}).items():
                return node["metadata"]["name"]
        return None

    def _end(self, job: Object, ending: str, reason: str, message: str) -> None:
        namespace, name = job["metadata"]["namespace"], job["metadata"]["name"]
        for pod in self.objects.all("pods", namespace, lambda pod: job["metadata"]["uid"] in _owners(pod)):
            if _phase(pod) == "Running":
                self.evict(pod["metadata"]["name"], reason, signal.SIGKILL)
            elif _phase(pod) == "Pending":
                self.objects.delete("pods", namespace, pod["metadata"]["name"])
        with self.objects.changing("jobs", namespace, name) as each:
            condition = {"type": ending, "status": "True", "reason": reason, "message": message}
            each["status"] = {"conditions": [condition | {"lastTransitionTime": now()}]}

    def _say(self, job: Object, reason: str, message: str) -> None:
        namespace, name = job["metadata"]["namespace"], job["metadata"]["name"]
        about = {"kind": "Job", "name": name, "namespace": namespace, "uid": job["metadata"]["uid"]}
        if not self.objects.all("events", namespace, lambda each: each["involvedObject"]["name"] == name):
            event = {"metadata": {"generateName": f"{name}."}, "involvedObject": about, "type": "Warning"}
            self.objects.create("events", namespace, event | {"reason": reason, "message": message})


def finished(job: Object) -> str:
    """``Complete``, ``Failed``, or nothing while a job goes on."""
    conditions = job.get("status", {}).get("conditions", [])
    return next((each["type"] for each in conditions if each["status"] == "True"), "")


def _phase(pod: Object) -> str:
    return pod.get("status", {}).get("phase", "Pending")


def _owners(each: Object) -> list[str]:
    return [owner["uid"] for owner in each["metadata"].get("ownerReferences", [])]


def _container(pod: Object, state: dict[str, Any]) -> dict[str, Any]:
    first = pod["spec"]["containers"][0]
    return {"name": first["name"], "image": first["image"], "imageID": "", "ready": False, "restartCount": 0} | {
        "state": state
    }


def _action(spec: Object, pod: Object) -> str:
    """What a job's failure policy says to a failed pod; the first rule that fits holds."""
    conditions = {(each["type"], each["status"]) for each in pod["status"].get("conditions", [])}
    code = pod["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"]
    for rule in spec.get("podFailurePolicy", {}).get("rules", []):
        if exits := rule.get("onExitCodes"):
            if (code in exits["values"]) == (exits["operator"] == "In") and code != 0:
                return rule["action"]
        elif any((each["type"], each.get("status", "True")) in conditions for each in rule["onPodConditions"]):
            return rule["action"]
    return "Count"
