"""A pod as processes: its containers' commands, each in namespaces of its own, over a copy of this machine's files that
is thrown away, with the pod's host name, environment, volumes and service account."""

import base64
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.clusters.objects import Object, Objects, Refusal

ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
# Arguments: scratch folder, host name, "ro" or "rw", working folder, what lies in /app, then SOURCE:TARGET:MODE …,
# "--", the command.
SANDBOX = """
set -eu
scratch=$1 name=$2 mode=$3 work=$4 app=$5; shift 5
mount -t tmpfs none "$scratch"
mkdir "$scratch/up" "$scratch/work" "$scratch/up-app" "$scratch/work-app" "$scratch/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$scratch/up,workdir=$scratch/work" "$scratch/root"
mkdir -p "$scratch/root/app" "$scratch/root$work"
mount -t overlay overlay -o "lowerdir=$app,upperdir=$scratch/up-app,workdir=$scratch/work-app" "$scratch/root/app"
rm -rf "$scratch/root/app/.zen" "$scratch/root/app/.expunge"
hostname "$name"
mount -t proc proc "$scratch/root/proc"
mount --rbind /dev "$scratch/root/dev"
while [ "$1" != -- ]; do
  source=${1%%:*} rest=${1#*:}; target=${rest%%:*}
  case $target in /var/run/*) target=${target#/var} ;; esac  # a link, which would lead out of here
  mkdir -p "$scratch/root$target"
  mount --bind "$source" "$scratch/root$target"
  [ "${rest#*:}" = rw ] || mount -o remount,bind,ro "$scratch/root$target"
  shift
done
shift
[ "$mode" = rw ] || { mount -o remount,ro "$scratch/root"; mount -o remount,ro "$scratch/root/app"; }
exec /usr/sbin/chroot "$scratch/root" /bin/sh -c 'cd "$1" && shift && exec "$@"' sh "$work" "$@"
"""


class Waiting(Exception):
    """Why a container does not start: a reason of the kubelet's, and what it says."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class Image:
    """What stands for an image: this machine's files, with a folder's as ``/app``, and the image's environment."""

    app: Path
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Host:
    """What a pod runs on.

    Attributes:
        folder: for logs and volumes.
        images: by name; no other image can be pulled.
        api: ``host:port`` of the API, for clients in pods.
        tokens: of service accounts, by name.
        authority: PEM of who signed the API's certificate.
    """

    folder: Path
    images: Mapping[str, Image]
    api: str
    tokens: dict[str, str]
    authority: bytes


@dataclass
class Running:
    """A pod's processes. ``outcome`` is the exit code of the container that ended it, None while it runs."""

    log: Path
    outcome: int | None = None
    process: subprocess.Popen | None = None
    ending: int | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def end(self, number: int) -> None:
        """Send a signal to the container's first process, and to no other (SIGKILL ends them all)."""
        with self.lock:
            self.ending = number
            if self.process is None or self.process.poll() is not None:
                return
            if number == signal.SIGKILL:
                self.process.kill()  # unshare dies, and the kernel ends the namespace with it
                return
            # The first process in the namespace is unshare's only child; the shell has become it by exec.
            children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
            for child in children:
                os.kill(int(child), number)


def start_pod(pod: Object, objects: Objects, host: Host) -> Running:
    """Start a pod's containers, one after the other, the first of ``initContainers`` first.

    Raises:
        Waiting: an image, a secret or a service account's token is not there.
    """
    name, namespace, spec = pod["metadata"]["name"], pod["metadata"]["namespace"], pod["spec"]
    folder = host.folder / name
    folder.mkdir(parents=True, exist_ok=True)
    containers = [*spec.get("initContainers", []), *spec["containers"]]
    for each in containers:
        if each["image"] not in host.images:
            raise Waiting("ErrImagePull", f"failed to pull {each['image']}: not found")
    sources = {each["name"]: _volume(each, folder, namespace, objects) for each in spec.get("volumes", [])}
    owner = spec.get("serviceAccountName", "default")
    account = _account(folder, namespace, host, owner)
    trusted = objects.get("serviceaccounts", namespace, owner).get("automountServiceAccountToken", True)
    commands = []
    for each in containers:
        environment = dict(host.images[each["image"]].environment) | _environment(each, pod, objects)
        environment["KUBERNETES_SERVICE_HOST"], environment["KUBERNETES_SERVICE_PORT"] = host.api.split(":")
        mounts = [f"{account}:{ACCOUNT}:ro"] if trusted else []
        for mount in each.get("volumeMounts", []):
            source, writable = sources[mount["name"]]
            source = source / mount["subPath"] if "subPath" in mount else source
            mounts.append(f"{source}:{mount['mountPath']}:{'rw' if writable and not mount.get('readOnly') else 'ro'}")
        mode = "ro" if each.get("securityContext", {}).get("readOnlyRootFilesystem") else "rw"
        scratch = folder / f"scratch-{each['name']}"
        scratch.mkdir(exist_ok=True)
        command = [*each.get("command", []), *each.get("args", [])]
        sandbox = ["sh", "-c", SANDBOX, "sh", str(scratch), name, mode, each.get("workingDir", "/app")]
        sandbox.append(str(host.images[each["image"]].app))
        unshared = ["unshare", *_as_root(), "--mount", "--uts", "--pid", "--fork", "--kill-child"]
        commands.append(([*unshared, *sandbox, *mounts, "--", *command], environment))
    running = Running(folder / "log")
    threading.Thread(target=_run, args=(running, commands), daemon=True).start()
    return running


def _account(folder: Path, namespace: str, host: Host, name: str) -> Path:
    account = folder / "account"
    account.mkdir(exist_ok=True)
    (account / "token").write_text(host.tokens[name])
    (account / "ca.crt").write_bytes(host.authority)
    (account / "namespace").write_text(namespace)
    return account


def _as_root() -> list[str]:
    return [] if os.geteuid() == 0 else ["--user", "--map-root-user"]


def _run(running: Running, commands: list[tuple[list[str], dict[str, str]]]) -> None:
    for command, environment in commands:
        with running.log.open("ab") as log, running.lock:
            if running.ending is not None:
                running.outcome = 128 + running.ending
                return
            running.process = subprocess.Popen(
                # The pod dies with the substitute, however that ends.
                [sys.executable, "-c", DIES_WITH_PARENT, *command],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        code = running.process.wait()
        if code:
            running.outcome = 128 - code if code < 0 else code
            return
    running.outcome = 0


DIES_WITH_PARENT = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL)
os.execvp(sys.argv[1], sys.argv[1:])
"""


def _environment(container: Object, pod: Object, objects: Objects) -> dict[str, str]:
    """A container's variables with what they refer to, the later ones over the earlier ones."""
    namespace = pod["metadata"]["namespace"]
    values: dict[str, str] = {}
    for each in container.get("envFrom", []):
        for plural, key in (("secrets", "secretRef"), ("configmaps", "configMapRef")):
            if key in each:
                found = _data(plural, namespace, each[key]["name"], objects)
                values |= {name: data.decode() for name, data in found.items()}
    for each in container.get("env", []):
        source = each.get("valueFrom")
        if source is None:
            values[each["name"]] = each.get("value", "")
        elif "fieldRef" in source:
            found_field: Any = pod
            for part in source["fieldRef"]["fieldPath"].split("."):
                found_field = found_field[part]
            values[each["name"]] = str(found_field)
        else:
            plural, key = ("secrets", "secretKeyRef") if "secretKeyRef" in source else ("configmaps", "configMapKeyRef")
            reference = source[key]
            data = _data(plural, namespace, reference["name"], objects)
            if reference["key"] in data:
                values[each["name"]] = data[reference["key"]].decode()
            elif not reference.get("optional"):
                said = f"couldn't find key {reference['key']} in {plural[:-1]} {namespace}/{reference['name']}"
                raise Waiting("CreateContainerConfigError", said)
    return values


def _data(plural: str, namespace: str, name: str, objects: Objects) -> dict[str, bytes]:
    try:
        found = objects.get(plural, namespace, name)
    except Refusal as error:
        raise Waiting("CreateContainerConfigError", str(error)) from error
    read = base64.b64decode if plural == "secrets" else str.encode
    plain = {key: value.encode() for key, value in found.get("stringData", {}).items()}
    return {key: read(value) for key, value in found.get("data", {}).items()} | plain


def _volume(volume: Object, folder: Path, namespace: str, objects: Objects) -> tuple[Path, bool]:
    """The folder behind a volume, and whether it can be written to."""
    place = folder / "volumes" / volume["name"]
    place.mkdir(parents=True, exist_ok=True)
    for plural, kind, key in (("secrets", "secret", "secretName"), ("configmaps", "configMap", "name")):
        if kind in volume:
            for name, data in _data(plural, namespace, volume[kind][key], objects).items():
                (place / name).write_bytes(data)
                (place / name).chmod(volume[kind].get("defaultMode", 0o644))
            return place, False
    if "emptyDir" not in volume:
        raise Waiting("CreateContainerConfigError", f"volume {volume['name']}: the substitute knows no such kind")
    return place, True
