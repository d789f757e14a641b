"""The main job in a process of its own, with a store that fails for a while when a given step starts.

Tiny models, real S3, real MLflow, both behind a ``FaultyProxy``; MLflow's server reaches S3 through that too.
"""

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit

import psutil
import yaml

from expunge.release.registry import Registry
from expunge.takedown.inbox import Inbox
from expunge.takedown.object_store import open_store
from infra.s3_stack import register_s3_stack
from infra.tracking_server import tracking_server
from tests.conftest import IMPATIENCE, PYTHON_PATH
from tests.infra.faulty_proxy import Fault, FaultyProxy
from tests.tiny import make_tiny_pipeline
from tests.tiny_job import main_job

ZENML = Path(sys.executable).with_name("zenml")
LIMIT = 600.0  # seconds that a run may take
STEPS = (
    "collect_takedowns", "finish_takedowns", "resolve_case", "load_base_model", "look_for_targets", "close_absent",
    "draw_pool", "diversify_datasets", "cache_gradients", "unlearn", "evaluate", "gate", "gather_findings",
    "write_report", "register_model", "settle_version", "purge_forbidden",
)  # fmt: skip
PLAIN = {"PYTHONPATH": PYTHON_PATH, "COLUMNS": "400", "NO_COLOR": "1", "PYTHONUNBUFFERED": "1"}
_STARTED = re.compile(r"Step `?(\w+)`? has started")
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Ended:
    """How a run ended: its exit status, the last line it said, all of it, and seconds from the fault on."""

    status: int
    line: str
    said: str
    seconds: float


@dataclass(frozen=True)
class Job:
    """The main job on one inbox and for one registered model, both of which nobody else uses.

    Attributes:
        folder: where it runs.
        inbox: folder or URL.
        model: name in the registry.
        environment: beside that of this process.
    """

    folder: Path
    inbox: str
    model: str
    environment: dict[str, str]

    @classmethod
    def prepare(cls, folder: Path, inbox: str, model: str, **environment: str) -> "Job":
        """Make the tiny models and file one request."""
        folder.mkdir(parents=True)
        settings = main_job(folder, make_tiny_pipeline(folder / "model"))
        settings |= {"inbox": inbox, "registered_model": model}
        config: dict[str, Any] = {"enable_cache": False, "parameters": settings}
        (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
        job = cls(folder, inbox, model, environment)
        job.box().file(kind="object", target="cat")
        return job

    def box(self) -> Inbox:
        """The inbox, by the way that never fails."""
        inbox = self.inbox if "://" in self.inbox else self.folder / self.inbox
        return Inbox(open_store(inbox), self.model)

    def run(self, step: str = "", fault: AbstractContextManager[Any] | None = None, seconds: float = LIMIT) -> Ended:
        """Run the job; ``fault`` is entered when ``step`` starts, and left after so many seconds or with the run."""
        child = subprocess.Popen(
            [ZENML, "pipeline", "run", "unlearn_pipeline", "-c", "config.yaml"],
            cwd=self.folder,
            env={name: value for name, value in os.environ.items() if name not in IMPATIENCE}
            | PLAIN
            | self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert child.stdout
        lines, began, failing = list[str](), time.monotonic(), ExitStack()
        timers = [threading.Timer(LIMIT, child.kill), threading.Timer(seconds, failing.close)]
        timers[0].start()
        try:
            for line in child.stdout:
                lines.append(_COLOURS.sub("", line.rstrip()))
                found = _STARTED.search(lines[-1])
                if fault and found and found[1] == step:
                    began = time.monotonic()
                    failing.enter_context(fault)
                    timers[1].start()
            status = child.wait()
        finally:
            for timer in timers:
                timer.cancel()
            failing.close()
        if fault and not timers[1].ident:
            raise AssertionError(f"step {step!r} has not started:\n" + "\n".join(lines))
        said = [line for line in lines if line.strip()]
        return Ended(status, said[-1] if said else "", "\n".join(lines), time.monotonic() - began)

    def problems(self) -> list[str]:
        """What is not as after an undisturbed run: the request fulfilled, one version crowned, one certificate."""
        ((entry),) = self.box().requests()
        state = self.box().state(entry.id)
        crowned = [each.version for each in self.box().champions.entries()]
        champion = Registry(name=self.model).champion()
        found = {
            f"the request is {state.label}": state.label != "fulfilled",
            "the request has no certificate": state.certificate is None,
            f"crowned were {crowned}": len(crowned) != 1,
            "the alias names another version": champion is None or [champion.version] != crowned,
        }
        return [problem for problem, is_so in found.items() if is_so]


@contextmanager
def servers(endpoint: str, folder: Path) -> Iterator[dict[str, FaultyProxy]]:
    """Proxies before an S3 server and an MLflow server of its own; this process and its children go through them.

    ZenML, wherever the environment says that it is, gets a stack whose artifacts lie in that S3.
    """
    from zenml.client import Client

    with ExitStack() as stack:
        s3 = stack.enter_context(FaultyProxy(urlsplit(endpoint).port or 0))
        stack.enter_context(patch.dict(os.environ, AWS_ENDPOINT_URL=f"http://127.0.0.1:{s3.port}"))
        url = stack.enter_context(tracking_server(folder, "s3://mlflow"))
        mlflow = stack.enter_context(FaultyProxy(urlsplit(url).port or 0))
        stack.enter_context(patch.dict(os.environ, MLFLOW_TRACKING_URI=f"http://127.0.0.1:{mlflow.port}"))
        stack.callback(Client().activate_stack, Client().active_stack_model.id)
        register_s3_stack(f"outage-{s3.port}", "s3://zenml")
        yield {"s3": s3, "mlflow": mlflow}


@contextmanager
def small_disk(place: Path) -> Iterator[Path]:
    """A disk that can be filled, mounted at a new folder; ZenML, MLflow and temporary files lie on it. Needs root."""
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256m", "tmpfs", place], check=True)
    homes = {"ZENML_CONFIG_PATH": "config", "ZENML_REPOSITORY_PATH": "repository", "TMPDIR": "tmp"}
    try:
        for name in homes.values():
            (place / name).mkdir()
        here = {name: str(place / folder) for name, folder in homes.items()}
        with patch.dict(os.environ, here | {"MLFLOW_TRACKING_URI": f"sqlite:///{place}/mlflow.db"}):
            subprocess.run([ZENML, "init", "--path", place / "repository"], check=True, capture_output=True)
            yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


@contextmanager
def failing(proxy: FaultyProxy, fault: Fault) -> Iterator[None]:
    """A proxy's server fails."""
    proxy.begin(fault)
    try:
        yield
    finally:
        proxy.end()


@contextmanager
def killed(job: Job) -> Iterator[None]:
    """The run of a job that this process started is no more, by SIGKILL."""
    for child in psutil.Process().children():
        if child.cwd() == str(job.folder.resolve()):
            child.kill()
    yield


@contextmanager
def full(disk: Path) -> Iterator[None]:
    """A file fills a disk to its last byte."""
    filler = disk / "filler"
    try:
        with filler.open("wb", buffering=0) as file:
            for size in (1 << 20, 1 << 12, 1):
                with suppress(OSError):
                    while file.write(bytes(size)):
                        pass
        yield
    finally:
        filler.unlink()
