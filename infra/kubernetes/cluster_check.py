"""What a cluster lacks for pods of Expunge's, asked piece by piece: the same for a ZenML stack and for Kubeflow."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from kubernetes import client

from expunge.cli.stack_checks import Finding, Missing, asked, compare_clocks
from infra.kubernetes.api import SECONDS, answering, connect, whole
from infra.kubernetes.registry import full_name, login_for, look_up
from infra.kubernetes.stack_settings import Place

PULLING = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName")


@dataclass(frozen=True)
class Wanted:
    """What settings ask of a cluster.

    Attributes:
        context: of the kubeconfig; the current one if empty.
        image: that pods run.
        secrets: the keys that pods read, by secret.
        places: what pods ask of their nodes, by the setting that says so.
        make: how an administrator makes namespace and accounts.
        accounts: service accounts.
        pull_secrets: for the image's registry.
    """

    context: str
    namespace: str
    image: str
    secrets: Mapping[str, Sequence[str]]
    places: Mapping[str, Place]
    make: str
    accounts: Sequence[str] = ()
    pull_secrets: Sequence[str] = ()


class ClusterCheck:
    """Asks one cluster for what is wanted. Every question returns what it found, or raises Missing."""

    questions: tuple[str, ...] = ("clock", "namespace", "accounts", "secrets", "nodes", "image")

    def __init__(self, wanted: Wanted) -> None:
        self.wanted, self._where = wanted, wanted.namespace
        self._api = connect(wanted.context)
        self._core = client.CoreV1Api(self._api)
        self._timeout = {"_request_timeout": SECONDS}

    def cluster(self) -> str:
        """That it answers, and knows this login."""
        version = client.VersionApi(self._api).get_code(**self._timeout).git_version
        self._core.list_namespaced_pod(self._where, limit=1, **self._timeout)
        return f"{version} by {f'context {self.wanted.context}' if self.wanted.context else 'the current context'}"

    def clock(self) -> str:
        """That its clock and this one agree."""
        before = datetime.now(UTC)
        _, _, headers = client.VersionApi(self._api).get_code_with_http_info(**self._timeout)
        compare_clocks("the cluster's", before, parsedate_to_datetime(headers["Date"]))
        return "as this one's"

    def namespace(self) -> str:
        """That it is there."""
        if self._found(self._core.read_namespace, self._where) is None:
            raise Missing(f"there is no namespace {self._where}", self.wanted.make)
        return self._where

    def accounts(self) -> str:
        """That all service accounts are there."""
        for name in self.wanted.accounts:
            if self._found(self._core.read_namespaced_service_account, name, self._where) is None:
                raise Missing(f"there is no service account {name} in {self._where}", self.wanted.make)
        return " and ".join(self.wanted.accounts)

    def secrets(self) -> str:
        """That every secret has the keys that pods read. Values are not looked at, nor shown."""
        for name, keys in self.wanted.secrets.items():
            make = f"kubectl -n {self._where} create secret generic {name} --from-file=KEY=FILE"
            held = self._found(self._core.read_namespaced_secret, name, self._where)
            if held is None:
                raise Missing(f"there is no secret {name} in {self._where}", make)
            if missing := [key for key in keys if key not in (held.data or {})]:
                raise Missing(f"secret {name} has no key {missing[0]}", make)
        return ", ".join(self.wanted.secrets) or "none is asked for"

    def nodes(self) -> str:
        """That for every pod a node is ready which its selector fits, whose taints it tolerates, and which offers the
        GPUs that it asks for."""
        nodes = [each for each in self._nodes() if _is_ready(each)]
        for name, place in self.wanted.places.items():
            _find_node(name, place, nodes)
        return f"a ready one for each of {len(self.wanted.places)} kinds of pods"

    def image(self) -> str:
        """That no pod waits for it in vain, and a node has it or its registry gives it out, as seen from here."""
        image = self.wanted.image
        waiting_pods = self._core.list_namespaced_pod(
            self._where, field_selector="status.phase=Pending", **self._timeout
        )
        for pod in waiting_pods.items:
            for each in [*(pod.status.init_container_statuses or []), *(pod.status.container_statuses or [])]:
                waiting = each.state.waiting if each.state else None
                if waiting and waiting.reason in PULLING and each.image == image:
                    raise Missing(
                        f"pod {pod.metadata.name} cannot pull {each.image}: {waiting.reason}",
                        "check the image's name, and its pull secret if its registry asks for a login",
                    )
        for node in self._nodes():
            held = node["status"].get("images", [])
            if any(full_name(image) == full_name(name) for each in held for name in each.get("names") or ()):
                return f"{image} is on node {node['metadata']['name']}"
        pull_secrets = [
            self._found(self._core.read_namespaced_secret, each, self._where) for each in self.wanted.pull_secrets
        ]
        look_up(image, login_for(image, [each.data or {} for each in pull_secrets if each]))
        return f"{image} is in its registry"

    def _nodes(self) -> list[dict[str, Any]]:
        return [whole(self._api, each) for each in self._core.list_node(**self._timeout).items]

    def _found(self, read: Callable[..., Any], *name: str) -> Any | None:
        """What is read under that name, None if there is nothing."""
        try:
            return read(*name, **self._timeout)
        except client.ApiException as error:
            if error.status == 404:
                return None
            raise


def _find_node(name: str, place: Place, nodes: Sequence[dict[str, Any]]) -> None:
    chosen = ", ".join(f"{key}={value}" for key, value in place.node_selector.items()) or "any"
    fitting = [each for each in nodes if place.node_selector.items() <= each["metadata"].get("labels", {}).items()]
    if not fitting:
        raise Missing(f"{name}: no node is ready with {chosen}", "label a node, or mend its node_selector")
    repelled = [_repelling(each, place) for each in fitting]
    if all(repelled):
        raise Missing(
            f"{name}: the nodes with {chosen} have the taint {repelled[0]}, which it does not tolerate",
            "put it under its tolerations, or choose another pool",
        )
    free = [each for each, taint in zip(fitting, repelled, strict=True) if not taint]
    for device, wanted in place.resources.limits.items():
        if "/" not in device:  # what every node has: processors, memory
            continue
        offered = max(int(each["status"].get("allocatable", {}).get(device, 0)) for each in free)
        if int(wanted) > offered:
            raise Missing(
                f"{name}: asks for {wanted} {device}, and the nodes with {chosen} offer {offered}",
                "install the device plugin there (NVIDIA's for its GPUs), choose another pool, or lower the limit",
            )


def _is_ready(node: dict[str, Any]) -> bool:
    conditions = node.get("status", {}).get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _repelling(node: dict[str, Any], place: Place) -> str:
    """The first of a node's taints that keeps the pod away, empty if none does."""
    for taint in node.get("spec", {}).get("taints", []):
        if taint["effect"] != "PreferNoSchedule" and not any(_tolerates(each, taint) for each in place.tolerations):
            return str(taint["key"])
    return ""


def _tolerates(toleration: Mapping[str, Any], taint: Mapping[str, Any]) -> bool:
    if toleration.get("effect") not in (None, "", taint["effect"]):
        return False
    if toleration.get("operator", "Equal") == "Exists":
        return toleration.get("key") in (None, "", taint["key"])
    return toleration.get("key") == taint["key"] and toleration.get("value", "") == taint.get("value", "")


def ask_cluster(make: Callable[[], ClusterCheck]) -> list[Finding]:
    """Ask everything; without an answer to the first question nothing else is asked. Nothing is changed there."""

    def ask(name: str, question: Callable[[], str]) -> Finding:
        def answered() -> str:
            with answering(name):
                return question()

        return asked(name if name == "cluster" else f"cluster's {name}", answered, "see there")

    made: list[ClusterCheck] = []

    def reach() -> str:
        made.append(make())
        return made[0].cluster()

    findings = [ask("cluster", reach)]
    if findings[0].ok:
        findings += [ask(name, getattr(made[0], name)) for name in made[0].questions]
    return findings
