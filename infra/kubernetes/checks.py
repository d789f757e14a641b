"""What a cluster lacks for a stack, asked piece by piece for ``expunge stack check --kubernetes``."""

from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from zoneinfo import available_timezones

from kubernetes import client

from expunge.cli.stack_checks import Finding, Missing, asked, compare_clocks
from infra.kubernetes.api import SECONDS, answering, connect, whole
from infra.kubernetes.cron_jobs import ClusterSchedules
from infra.kubernetes.stack_settings import GPU, Place, StackSettings

PULLING = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName")
MANIFESTS = "python -m infra.kubernetes.stack --settings FILE --manifests | kubectl apply -f -"


class ClusterCheck:
    """Asks one cluster for what the settings name. Every question returns what it found, or raises Missing."""

    def __init__(self, settings: StackSettings) -> None:
        self.settings, self._where = settings, settings.namespace
        self._api = connect(settings)
        self._core, self._batch = client.CoreV1Api(self._api), client.BatchV1Api(self._api)
        self._timeout = {"_request_timeout": SECONDS}

    def cluster(self) -> str:
        """That it answers, and knows this login."""
        version = client.VersionApi(self._api).get_code(**self._timeout).git_version
        self._core.list_namespaced_pod(self._where, limit=1, **self._timeout)
        return f"{version} by context {self.settings.context}"

    def clock(self) -> str:
        """That its clock and this one agree; both ends of a request are looked at."""
        before = datetime.now(UTC)
        _, _, headers = client.VersionApi(self._api).get_code_with_http_info(**self._timeout)
        compare_clocks("the cluster's", before, parsedate_to_datetime(headers["Date"]))
        return "as this one's"

    def namespace(self) -> str:
        """That it is there."""
        if self._found(self._core.read_namespace, self._where) is None:
            raise Missing(f"there is no namespace {self._where}", MANIFESTS)
        return self._where

    def accounts(self) -> str:
        """That both service accounts are there."""
        names = (self.settings.runner_account, self.settings.step_account)
        for name in names:
            if self._found(self._core.read_namespaced_service_account, name, self._where) is None:
                raise Missing(f"there is no service account {name} in {self._where}", MANIFESTS)
        return " and ".join(names)

    def secrets(self) -> str:
        """That every secret has the keys that pods read. Values are not looked at, nor shown."""
        wanted = self.settings.secret_keys()
        for name, keys in wanted.items():
            make = f"kubectl -n {self._where} create secret generic {name} --from-file=KEY=FILE"
            held = self._found(self._core.read_namespaced_secret, name, self._where)
            if held is None:
                raise Missing(f"there is no secret {name} in {self._where}", make)
            there = {*(held.data or {}), *(held.string_data or {})}
            if missing := [key for key in keys if key not in there]:
                raise Missing(f"secret {name} has no key {missing[0]}", make)
        return ", ".join(wanted)

    def nodes(self) -> str:
        """That for every pod a node is ready which its selector fits and which offers the GPUs that it asks for."""
        nodes = [whole(self._api, each) for each in self._core.list_node(**self._timeout).items]
        places: dict[str, Place] = {
            "orchestrator": self.settings.orchestrator,
            "retrain": self.settings.retrain,
            **{f"jobs.{step}": place for step, place in self.settings.jobs.items()},
        }
        for name, place in places.items():
            chosen = ", ".join(f"{key}={value}" for key, value in place.node_selector.items()) or "any"
            fitting = [each for each in nodes if _is_ready(each) and _fits(each, place)]
            if not fitting:
                raise Missing(f"{name}: no node is ready with {chosen}", f"label a node, or mend {name}.node_selector")
            gpus = int(place.resources.limits.get(GPU, 0))
            offered = max(int(each["status"].get("allocatable", {}).get(GPU, 0)) for each in fitting)
            if gpus > offered:
                raise Missing(
                    f"{name}: asks for {gpus} {GPU}, and the nodes with {chosen} offer {offered}",
                    "install NVIDIA's device plugin there, choose another pool, or lower the limit",
                )
        return f"a ready one for each of {len(places)} kinds of pods"

    def image(self) -> str:
        """That no pod waits for it in vain; whether it can be pulled shows when a pod asks for it."""
        waiting_pods = self._core.list_namespaced_pod(
            self._where, field_selector="status.phase=Pending", **self._timeout
        )
        for pod in waiting_pods.items:
            for each in [*(pod.status.init_container_statuses or []), *(pod.status.container_statuses or [])]:
                waiting = each.state.waiting if each.state else None
                if waiting and waiting.reason in PULLING and each.image == self.settings.image:
                    raise Missing(
                        f"pod {pod.metadata.name} cannot pull {each.image}: {waiting.reason}",
                        "check the image's name, and pull_secret if its registry asks for a login",
                    )
        return f"{self.settings.image}; no pod fails to pull it"

    def schedule(self) -> str:
        """That one is installed which fires, in a zone that is known."""
        found = ClusterSchedules(self.settings).installed()
        install = "expunge schedule install --kubernetes --cron '0 3 * * *' --timezone Europe/Berlin"
        if not found:
            raise Missing(f"none is installed in {self._where}", install)
        for each in found:
            if each.timezone not in available_timezones():
                said = f"has no known time zone ('{each.timezone}')"
                raise Missing(f"'{each.name}' {said}", f"{install} --name {each.name}")
            if each.suspended:
                raise Missing(f"'{each.name}' is suspended", f"expunge schedule resume --kubernetes --name {each.name}")
        return ", ".join(f"{each.name}: {each.cron} in {each.timezone}" for each in found)

    def _found(self, read: Callable[..., Any], *name: str) -> Any | None:
        """What is read under that name, None if there is nothing."""
        try:
            return read(*name, **self._timeout)
        except client.ApiException as error:
            if error.status == 404:
                return None
            raise


def _is_ready(node: dict[str, Any]) -> bool:
    conditions = node.get("status", {}).get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _fits(node: dict[str, Any], place: Place) -> bool:
    return place.node_selector.items() <= node["metadata"].get("labels", {}).items()


QUESTIONS = ("clock", "namespace", "accounts", "secrets", "nodes", "image", "schedule")


def check_cluster(settings: StackSettings) -> list[Finding]:
    """Ask everything; without an answer to the first question nothing else is asked. Nothing is changed there."""

    def ask(name: str, question: Callable[[], str]) -> Finding:
        def answered() -> str:
            with answering(name):
                return question()

        return asked(name if name == "cluster" else f"cluster's {name}", answered, "see there")

    made: list[ClusterCheck] = []

    def reach() -> str:
        made.append(ClusterCheck(settings))
        return made[0].cluster()

    findings = [ask("cluster", reach)]
    if findings[0].ok:
        findings += [ask(name, getattr(made[0], name)) for name in QUESTIONS]
    return findings
