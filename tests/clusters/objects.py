"""What the substitute for a cluster stores: objects by kind, namespace and name, each checked against Kubernetes' own
schemas before it is taken."""

import copy
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any
from uuid import uuid4

import jsonschema
from kubernetes_validate import utils as schemas
from referencing import Registry, Resource

Object = dict[str, Any]
VERSIONS = [f"1.{minor}" for minor in range(28, 38)]
# By the last word of a path: apiVersion, kind, and whether objects lie in a namespace.
KINDS = {
    "namespaces": ("v1", "Namespace", False),
    "nodes": ("v1", "Node", False),
    "pods": ("v1", "Pod", True),
    "secrets": ("v1", "Secret", True),
    "configmaps": ("v1", "ConfigMap", True),
    "serviceaccounts": ("v1", "ServiceAccount", True),
    "events": ("v1", "Event", True),
    "jobs": ("batch/v1", "Job", True),
    "cronjobs": ("batch/v1", "CronJob", True),
    "roles": ("rbac.authorization.k8s.io/v1", "Role", True),
    "rolebindings": ("rbac.authorization.k8s.io/v1", "RoleBinding", True),
    "leases": ("coordination.k8s.io/v1", "Lease", True),
}


class Refusal(Exception):
    """What the API says no with."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status, self.reason = status, reason


@cache
def _validator(version: str, kind: str, api_version: str) -> jsonschema.Draft202012Validator:
    folder = f"kubernetes-json-schema/v{version}.0-local-strict"
    group, _, number = api_version.rpartition("/")
    name = "-".join(filter(None, [kind.lower(), group.split(".")[0], number]))
    schema = schemas.schema_contents(f"{folder}/{name}.json", version)
    return jsonschema.Draft202012Validator(schema, registry=Resource.from_contents(schema) @ _definitions(version))


@cache
def _definitions(version: str) -> Registry:
    path = f"kubernetes-json-schema/v{version}.0-local-strict/_definitions.json"
    return Resource.from_contents(schemas.schema_contents(path, version)) @ Registry()


def complaint(manifest: Object, version: str) -> str:
    """What the strict schema of a version of Kubernetes says against an object; empty if nothing."""
    errors = _validator(version, manifest["kind"], manifest["apiVersion"]).iter_errors(manifest)
    error = jsonschema.exceptions.best_match(errors)
    return "" if error is None else f"{'.'.join(map(str, error.absolute_path))}: {error.message[:300]}"


def merged(old: Any, patch: Any) -> Any:
    """An object after a merge patch (RFC 7386)."""
    if not isinstance(patch, dict) or not isinstance(old, dict):
        return copy.deepcopy(patch)
    new = dict(old)
    for name, value in patch.items():
        if value is None:
            new.pop(name, None)
        else:
            new[name] = merged(old.get(name), value)
    return new


def now() -> str:
    """The time, as Kubernetes writes it."""
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"


@dataclass
class Objects:
    """All objects; every write makes a new resource version, and one that names an old one is refused.

    Attributes:
        version: of Kubernetes, whose schemas hold.
        written: every object that a client sent, as it was sent.
    """

    version: str
    written: list[Object] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._kept: dict[tuple[str, str, str], Object] = {}
        self._count = 0
        self._lock = threading.RLock()

    def create(self, plural: str, namespace: str, sent: Object) -> Object:
        """Take a new object as a client sent it. Raises Refusal."""
        with self._lock:
            metadata = sent.setdefault("metadata", {})
            name = metadata.get("name") or f"{metadata.get('generateName', 'unnamed-')}{uuid4().hex[:5]}"
            if (plural, namespace, name) in self._kept:
                raise Refusal(409, "AlreadyExists", f'{plural} "{name}" already exists')
            whole = self._checked(plural, sent)
            if namespace and ("namespaces", "", namespace) not in self._kept:
                raise Refusal(404, "NotFound", f'namespaces "{namespace}" not found')
            metadata = {**whole["metadata"], "name": name, "uid": str(uuid4()), "creationTimestamp": now()}
            status = {"status": {}} if plural in ("pods", "jobs", "cronjobs") else {}
            return self._keep(plural, namespace, whole | {"metadata": metadata} | status)

    def replace(self, plural: str, namespace: str, name: str, sent: Object, patch: bool = False) -> Object:
        """Take a changed object, or a merge patch. Raises Refusal."""
        with self._lock:
            old = self.get(plural, namespace, name)
            whole = self._checked(plural, merged(_as_sent(old), sent) if patch else sent)
            given = sent.get("metadata", {}).get("resourceVersion")
            if given and given != old["metadata"]["resourceVersion"]:
                raise Refusal(409, "Conflict", f'{plural} "{name}" has been modified; apply your changes to the latest')
            kept = {key: old["metadata"][key] for key in ("name", "uid", "creationTimestamp")}
            whole["metadata"] = whole.get("metadata", {}) | kept
            return self._keep(plural, namespace, whole | ({"status": old["status"]} if "status" in old else {}))

    def get(self, plural: str, namespace: str, name: str) -> Object:
        """A copy of an object. Raises Refusal if there is none."""
        with self._lock:
            if (plural, namespace, name) not in self._kept:
                raise Refusal(404, "NotFound", f'{plural} "{name}" not found')
            return copy.deepcopy(self._kept[plural, namespace, name])

    def all(self, plural: str, namespace: str = "", fits: Callable[[Object], bool] = lambda each: True) -> list[Object]:
        """Copies of all objects of a kind, those of every namespace if none is given; the oldest first."""
        with self._lock:
            found = [
                each for (kind, where, _), each in self._kept.items() if kind == plural and namespace in ("", where)
            ]
            return [copy.deepcopy(each) for each in found if fits(each)]

    def delete(self, plural: str, namespace: str, name: str, orphan: bool = False) -> Object:
        """Take an object away, with all that it owns unless that is to be left. Raises Refusal if there is none."""
        with self._lock:
            gone = self.get(plural, namespace, name)
            del self._kept[plural, namespace, name]
            if orphan:
                return gone
            uid = gone["metadata"]["uid"]
            for (kind, where, other), each in list(self._kept.items()):
                if uid in [owner["uid"] for owner in each["metadata"].get("ownerReferences", [])]:
                    self.delete(kind, where, other)
            return gone

    @contextmanager
    def changing(self, plural: str, namespace: str, name: str) -> Iterator[Object]:
        """An object to be changed by a controller within the block, unless it is gone by then."""
        with self._lock:
            each = self.get(plural, namespace, name)
            yield each
            if (plural, namespace, name) in self._kept:
                self._keep(plural, namespace, each)

    def _checked(self, plural: str, sent: Object) -> Object:
        api_version, kind, _ = KINDS[plural]
        whole = {"apiVersion": api_version, "kind": kind} | {key: value for key, value in sent.items() if value}
        if said := complaint(whole, self.version):
            raise Refusal(422, "Invalid", f"{kind} {whole['metadata'].get('name')}: {said}")
        self.written.append(copy.deepcopy(whole))
        return whole

    def _keep(self, plural: str, namespace: str, whole: Object) -> Object:
        self._count += 1
        metadata = whole["metadata"] | {"resourceVersion": str(self._count)}
        if namespace:
            metadata["namespace"] = namespace
        self._kept[plural, namespace, metadata["name"]] = whole | {"metadata": metadata}
        return copy.deepcopy(self._kept[plural, namespace, metadata["name"]])


def _as_sent(kept: Object) -> Object:
    """An object without what the server added."""
    metadata = {key: value for key, value in kept["metadata"].items() if key not in ("uid", "resourceVersion")}
    return {key: value for key, value in kept.items() if key != "status"} | {"metadata": metadata}
