"""Walks a compiled pipeline of Kubeflow's and runs each container's command as a process, with its pod's environment.

What it does as a cluster does: tasks in the order of what they depend on; parameters, constants, outputs of other tasks
and defaults; artifacts as files; ``dsl.If`` and its kin, also within each other; retries; deadlines; Secrets as
variables and as files, ConfigMaps as files; nothing of this process's own environment reaches a command.

What it does not check: images are not pulled, and commands run on this machine's files as this process's user. So
neither a read-only root file system nor the user's number means anything here, and a mounted folder is a local one,
whose path stands in place of the mounted path where a command, a variable or a parameter begins with it. Accelerator,
processor, memory, node selector, tolerations, pull secrets and the size of volumes are not looked at, nor are RBAC,
admission and scheduling. It does not wait before a retry, runs one task at a time, and never uses a cache. What it does
not know, it refuses: loops, exit handlers, importers, nested pipelines with outputs.
"""

import os
import re
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.kubeflow.condition import holds

PLACEHOLDER = re.compile(
    r"\{\{\$\.(inputs|outputs)\.(parameters|artifacts)\['([^']+)'\](?:\.(output_file|path|uri))?\}\}"
)
TASK = {"componentRef", "inputs", "dependentTasks", "taskInfo", "triggerPolicy", "cachingOptions", "retryPolicy"}
CONTAINER = {"image", "command", "args", "env", "resources"}
HONOURED = {"secretAsEnv", "secretAsVolume", "configMapAsVolume", "emptyDirMounts", "activeDeadlineSeconds"}
LEFT_OUT = {"nodeSelector", "tolerations", "securityContext", "imagePullSecret"}
OF_TYPE = {"NUMBER_INTEGER": int, "NUMBER_DOUBLE": float, "STRING": str}


class NotStarted(Exception):
    """A pod of this kind would never start, or this walker does not know how to."""


@dataclass(frozen=True)
class Cluster:
    """Where the commands run.

    Attributes:
        folder: for outputs and mounted folders.
        workplace: working folder of each command, as the image has it.
        environment: what the image brings, for example PATH.
        secrets: by name, each key with its value.
        config_maps: by name, each file with its text.
    """

    folder: Path
    workplace: Path
    environment: Mapping[str, str]
    secrets: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    config_maps: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Ran:
    """What became of a task.

    Attributes:
        status: ``succeeded``, ``failed``, ``skipped`` by its condition, or ``omitted`` since what it needs failed.
        exits: the exit status of each try, -9 for one that was ended at its deadline.
        outputs: parameters that a container wrote.
        log: what it said, both streams together, all tries.
    """

    status: str
    exits: tuple[int, ...] = ()
    outputs: Mapping[str, Any] = field(default_factory=dict)
    log: str = ""


class Walker:
    """One compiled pipeline on a cluster.

    Args:
        spec: the compiled file.
        cluster: where it runs.
    """

    def __init__(self, spec: Path, cluster: Cluster) -> None:
        self._spec, *more = yaml.safe_load_all(spec.read_text(encoding="utf-8"))
        platform = more[0]["platforms"]["kubernetes"]["deploymentSpec"]["executors"] if more else {}
        self._platform: dict[str, dict[str, Any]] = platform
        self._cluster = cluster
        self._files: dict[tuple[str, str], Path] = {}  # artifacts, by task and name
        self.ran: dict[str, Ran] = {}

    def walk(self, **parameters: Any) -> dict[str, Ran]:
        """Run it to its end; what became of each task, by its path such as ``condition-1/retrain``.

        Raises:
            NotStarted: a Secret or a parameter is missing, or the pipeline has something that is not known here.
        """
        root, given = self._spec["root"], dict(parameters)
        for name, each in root.get("inputDefinitions", {}).get("parameters", {}).items():
            if name not in given:
                if "defaultValue" not in each:
                    raise NotStarted(f"parameter '{name}' is not given and has no default")
                given[name] = each["defaultValue"]
        self._dag(root["dag"], given, "")
        return self.ran

    def _dag(self, dag: Mapping[str, Any], given: Mapping[str, Any], path: str) -> str:
        """Run the tasks of a graph; its own status."""
        if set(dag) != {"tasks"}:
            raise NotStarted(f"{path or 'root'}: outputs of a graph are not known here")
        done: dict[str, Ran] = {}
        waiting = dict(dag["tasks"])
        while waiting:
            name = next(each for each, task in waiting.items() if set(task.get("dependentTasks", ())) <= set(done))
            task = waiting.pop(name)
            if unknown := set(task) - TASK:
                raise NotStarted(f"{path}{name}: {', '.join(sorted(unknown))} is not known here")
            needed = [done[each].status for each in task.get("dependentTasks", ())]
            if set(needed) <= {"succeeded"}:
                done[name] = self._task(task, self._inputs(task, given, done, path), f"{path}{name}")
            else:
                done[name] = Ran("omitted" if {"failed", "omitted"} & set(needed) else "skipped")
            self.ran[f"{path}{name}"] = done[name]
        return "failed" if any(each.status == "failed" for each in done.values()) else "succeeded"

    def _inputs(self, task: Mapping[str, Any], given: Mapping[str, Any], done: Mapping[str, Ran], path: str) -> dict:
        """The values of a task's parameters, and the files of its artifacts, by name."""
        found: dict[str, Any] = {}
        for name, source in task.get("inputs", {}).get("parameters", {}).items():
            match source:
                case {"componentInputParameter": outer}:
                    found[name] = given[outer]
                case {"runtimeValue": {"constant": value}}:
                    found[name] = value
                case {"taskOutputParameter": {"producerTask": producer, "outputParameterKey": key}}:
                    found[name] = done[producer].outputs[key]
                case _:
                    raise NotStarted(f"{path}: the source of parameter '{name}' is not known here")
        for name, source in task.get("inputs", {}).get("artifacts", {}).items():
            match source:
                case {"componentInputArtifact": outer}:
                    found[name] = given[outer]
                case {"taskOutputArtifact": {"producerTask": producer, "outputArtifactKey": key}}:
                    found[name] = self._files[f"{path}{producer}", key]
                case _:
                    raise NotStarted(f"{path}: the source of artifact '{name}' is not known here")
        return found

    def _task(self, task: Mapping[str, Any], inputs: dict[str, Any], path: str) -> Ran:
        condition = task.get("triggerPolicy", {}).get("condition")
        if condition is not None and not holds(condition, inputs):
            return Ran("skipped")
        component = self._spec["components"][task["componentRef"]["name"]]
        for name, each in component.get("inputDefinitions", {}).get("parameters", {}).items():
            if name not in inputs and "defaultValue" in each:
                inputs[name] = each["defaultValue"]
        if "dag" in component:
            return Ran(self._dag(component["dag"], inputs, f"{path}/"))
        return self._container(component, inputs, path, task.get("retryPolicy", {}).get("maxRetryCount", 0))

    def _container(self, component: Mapping[str, Any], inputs: Mapping[str, Any], path: str, retries: int) -> Ran:
        label = component["executorLabel"]
        executor, platform = self._spec["deploymentSpec"]["executors"][label], self._platform.get(label, {})
        container = executor.get("container", {})
        unknown = (set(executor) - {"container"}) | (set(container) - CONTAINER) | (set(platform) - HONOURED - LEFT_OUT)
        if unknown:
            raise NotStarted(f"{path}: {', '.join(sorted(unknown))} is not known here")
        mounts = self._mounts(platform, path)
        outputs = self._outputs(component, path)
        words = [*container.get("command", ()), *container.get("args", ())]
        command = [_mounted(self._resolved(word, inputs, outputs), mounts) for word in words]
        own = {each["name"]: _mounted(each["value"], mounts) for each in container.get("env", ())}
        environment = {**self._cluster.environment, **own, **self._secret_variables(platform, path)}
        deadline = platform.get("activeDeadlineSeconds")
        exits: list[int] = []
        log = ""
        while len(exits) <= retries and (not exits or exits[-1]):
            code, said = _run(command, environment, self._cluster.workplace, float(deadline) if deadline else None)
            exits.append(code)
            log += said
        if exits[-1]:
            return Ran("failed", tuple(exits), log=log)
        self._files |= {
            (path, name): outputs[name] for name in component.get("outputDefinitions", {}).get("artifacts", {})
        }
        return Ran("succeeded", tuple(exits), _written(component, outputs, path), log)

    def _outputs(self, component: Mapping[str, Any], path: str) -> dict[str, Path]:
        """The file of each output, parameter or artifact; their folders are there."""
        defined = component.get("outputDefinitions", {})
        names = [*defined.get("parameters", ()), *defined.get("artifacts", ())]
        files = {name: self._cluster.folder / "outputs" / path / name for name in names}
        for file in files.values():
            file.parent.mkdir(parents=True, exist_ok=True)
        return files

    def _resolved(self, word: str, inputs: Mapping[str, Any], outputs: Mapping[str, Path]) -> str:
        """A word of a command with its placeholders filled in."""

        def filled(match: re.Match[str]) -> str:
            direction, kind, name, how = match.groups()
            if (direction, kind, how) == ("inputs", "parameters", None) or (direction, kind) == ("inputs", "artifacts"):
                return str(inputs[name])
            return str(outputs[name])

        done = PLACEHOLDER.sub(filled, word)
        if "{{$" in PLACEHOLDER.sub("", word):
            raise NotStarted(f"placeholder in {word!r} is not known here")
        return done

    def _secret_variables(self, platform: Mapping[str, Any], path: str) -> dict[str, str]:
        found = {}
        for secret in platform.get("secretAsEnv", ()):
            for pair in secret["keyToEnv"]:
                found[pair["envVar"]] = self._kept(secret["secretName"], path, pair["secretKey"])
        return found

    def _kept(self, secret: str, path: str, key: str) -> str:
        if key not in self._cluster.secrets.get(secret, {}):
            raise NotStarted(f"{path}: there is no Secret '{secret}' with the key '{key}'")
        return self._cluster.secrets[secret][key]

    def _mounts(self, platform: Mapping[str, Any], path: str) -> dict[str, Path]:
        """The local folder of each mounted one, by the path in the container; of a Secret everybody may read it."""
        filled: dict[str, Mapping[str, str]] = {each["mountPath"]: {} for each in platform.get("emptyDirMounts", ())}
        for kind, kept, named in (
            ("secretAsVolume", self._cluster.secrets, "secretName"),
            ("configMapAsVolume", self._cluster.config_maps, "configMapName"),
        ):
            for each in platform.get(kind, ()):
                if each[named] not in kept:
                    raise NotStarted(f"{path}: there is no {named.removesuffix('Name')} '{each[named]}'")
                filled[each["mountPath"]] = kept[each[named]]
        mounts = {}
        for number, (mounted, files) in enumerate(filled.items()):
            mounts[mounted] = self._cluster.folder / "mounts" / path / str(number)
            mounts[mounted].mkdir(parents=True)
            for name, text in files.items():
                (mounts[mounted] / name).write_text(text, encoding="utf-8")
                (mounts[mounted] / name).chmod(0o644)
        return mounts


def _mounted(word: str, mounts: Mapping[str, Path]) -> str:
    """A word that begins with a mounted path, with the local one."""
    for mounted, local in mounts.items():
        if word == mounted or (word.startswith(f"{mounted}/") and not word.startswith(str(local.parents[2]))):
            return f"{local}{word.removeprefix(mounted)}"
    return word


def _written(component: Mapping[str, Any], outputs: Mapping[str, Path], path: str) -> dict[str, Any]:
    """The parameters that a container wrote, in their types."""
    found = {}
    for name, each in component.get("outputDefinitions", {}).get("parameters", {}).items():
        if each["parameterType"] not in OF_TYPE:
            raise NotStarted(f"{path}: parameters of type {each['parameterType']} are not known here")
        found[name] = OF_TYPE[each["parameterType"]](outputs[name].read_text(encoding="utf-8"))
    return found


def _run(command: list[str], environment: Mapping[str, str], folder: Path, deadline: float | None) -> tuple[int, str]:
    """Run a command and all that it starts; its exit status and what it said."""
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    )
    try:
        said, _ = process.communicate(timeout=deadline)
        return process.returncode, said
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        said, _ = process.communicate()
        return process.returncode, said
