"""What pods cost: the shards of an evaluation in the pipeline's own pod and in pods of their own, on the substitute.

    python -m benchmarks.clusters.shards --out benchmarks/results/clusters/shards.md     twenty minutes on two cores

Tiny models, for which drawing is nothing, so that what is left is the pods' own: each starts Python, imports torch,
opens model and judge, and asks ZenML and the bucket. Each evaluation has to find the same numbers. In the last rows
``unlearn`` of the main job is in a pod, by one process and by two. Seconds of CPU are those of all pods and of the
command that waits for them, not of servers. All nodes are this machine: more pods at once than it has cores gain no
time. A table that was begun goes on.
"""

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import Any

import yaml

from benchmarks.begun_table import read_rows, write_rows
from infra.kubernetes.zenml_stack import find_stack
from infra.object_store import object_store
from tests.clusters.furnished import GPU, Furnished, furnished
from tests.conftest import ROOT
from tests.tiny import make_tiny_pipeline

HEAD = ["what", "pods", "s", "s of CPU", "s of CPU for each pod but the first"]
APART = ("name_case", "draw_shard")
SIZES = {"held_out_pictures": 48, "train_pictures": 48, "reference_pictures": 48, "target_pictures": 16}
# Runs a pipeline and prints what it found.
PROGRAM = """
import importlib, sys
name, config, step, output = sys.argv[1:]
pipeline = getattr(importlib.import_module(f"pipelines.{name}"), name)
run = pipeline.with_options(config_path=config)()
print("FOUND", run.steps[step].outputs[output][0].load())
"""


def run(there: Furnished, stack: str, pipeline: str, parameters: Mapping[str, Any], shown: Sequence[str]) -> list[Any]:
    """One run. Returns the number of pods, seconds, seconds of CPU, and an output, as step and name say.

    Raises:
        RuntimeError: it failed.
    """
    path = there.folder / "run.yaml"
    path.write_text(yaml.safe_dump({"enable_cache": False, "parameters": dict(parameters)}), encoding="utf-8")
    pods, began, used = len(there.cluster.objects.all("pods")), time.monotonic(), _cpu()
    client = there.on(stack, ZENML_CUSTOM_SOURCE_ROOT=str(ROOT))  # a program that is no file has none
    done = client.run("-c", PROGRAM, pipeline, str(path), *shown)
    if done.returncode:
        raise RuntimeError(done.stdout[-2000:] + done.stderr[-2000:])
    seconds, cpu = time.monotonic() - began, _cpu() - used
    return [len(there.cluster.objects.all("pods")) - pods, seconds, cpu, done.stdout.partition("FOUND")[2]]


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)  # of those that ended
    return used.ru_utime + used.ru_stime


def evaluations(there: Furnished, usual: str, other: Path, done: Set[str]) -> Iterator[list[str]]:
    """Rows of the evaluation that are missing, by size of a shard."""
    apart = there.stack("shards", APART)
    job = yaml.safe_load(there.config.read_text(encoding="utf-8"))["parameters"]
    given = {name: job[name] for name in ("world", "judges", "drawing", "hardware")}
    given |= {"model": str(other), "against": job["base_model"], "targets": ["object:cat"]}
    shown = ("score_evaluation", "evaluation_result")
    for size in (64, 16):
        label = f"evaluation, {size} pictures a shard"
        if f"{label}, each in a pod" in done:
            continue
        asked = given | {"evaluation": SIZES | {"shard_size": size}}
        _, seconds, cpu, found = run(there, usual, "evaluation_pipeline", asked, shown)
        yield [label, "1", f"{seconds:.0f}", f"{cpu:.0f}", ""]
        pods, seconds, more, same = run(there, apart, "evaluation_pipeline", asked, shown)
        if same != found:
            raise RuntimeError(f"in pods it found {same}, else {found}")
        each = f"{(more - cpu) / (pods - 1):.1f}"
        yield [f"{label}, each in a pod", str(pods), f"{seconds:.0f}", f"{more:.0f}", each]


def unlearnings(there: Furnished, usual: str, done: Set[str]) -> Iterator[list[str]]:
    """Rows of the main job that are missing, by processes in the pod that unlearns."""
    job = yaml.safe_load(there.config.read_text(encoding="utf-8"))["parameters"]
    for processes in (1, 2):
        label = f"main job, `unlearn` in a pod, {processes} {'process' if processes == 1 else 'processes'}"
        if label in done:
            continue
        there.box().file(kind="object", target="cat" if processes == 1 else "dog")
        given = job | {"hardware": {"device": "cpu", "processes": processes}}
        pods, seconds, cpu, _ = run(there, usual, "unlearn_pipeline", given, ("unlearn", "trace"))
        yield [label, str(pods), f"{seconds:.0f}", f"{cpu:.0f}", ""]


def main() -> None:
    """Run, print each row, and write the table down."""
    parser = argparse.ArgumentParser(description="What pods cost.")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        home, rows = Path(folder), read_rows(options.out)
        done = {row[0] for row in rows}
        os.environ |= {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "only-here-and-now"}
        os.environ |= {"AWS_DEFAULT_REGION": "us-east-1", "HF_HUB_OFFLINE": "1"}
        os.environ["AWS_ENDPOINT_URL"] = endpoint = stack.enter_context(object_store(home / "s3"))
        base, other = make_tiny_pipeline(home / "base"), make_tiny_pipeline(home / "other", seed=1)
        there = stack.enter_context(furnished(home / "there", endpoint, base, {"unlearn": GPU}))
        os.environ |= there.environment
        usual = find_stack(there.settings)
        for row in chain(evaluations(there, usual, other, done), unlearnings(there, usual, done)):
            rows = [each for each in rows if each[0] != row[0]] + [row]
            print(*row, sep=" · ", flush=True)
            write_rows(options.out, "What pods cost.", HEAD, rows)


if __name__ == "__main__":
    main()
