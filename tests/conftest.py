"""Fixtures that several rooms share."""

import importlib.metadata
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

import tests.hurried.sitecustomize  # noqa: F401 - in this process too
from expunge.freed_memory import keep_freed_memory

ROOT = Path(__file__).resolve().parent.parent
PYTHON_PATH = f"{ROOT / 'tests' / 'hurried'}{os.pathsep}{ROOT}"  # of processes that tests start

# Read when their packages are imported, hence here: no test fetches a model, none sends usage statistics.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["ZENML_ANALYTICS_OPT_IN"] = "false"
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
# Whatever imports ``steps`` is as patient as a run from then on; no test waits minutes for what is meant to be gone.
IMPATIENCE = {"AWS_MAX_ATTEMPTS": "3", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3"}
os.environ.update(IMPATIENCE)
keep_freed_memory()  # as a run does

# The files that take longest, longest first: what runs tests in several processes, a file in one of them, begins with
# these, and the processes end together.
LONGEST = (
    "test_end_to_end.py",
    "clusters/test_main_job.py",
    "infra/test_outages.py",
    "pipelines/test_every_family_lora.py",
    "pipelines/test_life_of_a_release.py",
    "pipelines/test_every_family_full.py",
    "unlearning/test_ranks.py",
    "unlearning/test_memory.py",
    "release/test_crash_points.py",
    "pipelines/test_purge.py",
    "unlearning/test_launch.py",
    "infra/test_purge_on_servers.py",
)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    rank = {ROOT / "tests" / name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path, len(rank)))


@pytest.fixture(scope="session", autouse=True)
def databases_in_a_hurry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No tables made anew."""
    from tests.databases import hurry

    with pytest.MonkeyPatch.context() as patch:
        hurry(patch, tmp_path_factory.mktemp("databases"))
        yield


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A diffusers folder with a model too small to draw anything. Tests leave it as it is."""
    from tests.tiny import make_tiny_pipeline

    return make_tiny_pipeline(tmp_path_factory.mktemp("tiny") / "model")


@pytest.fixture(scope="session")
def tiny_model(tiny_folder: Path):
    """The model in ``tiny_folder``. Tests leave it as it is."""
    from expunge.models.families.stable_diffusion import StableDiffusion

    return StableDiffusion.load(tiny_folder)


@contextmanager
def zenml_in(home: Path) -> Iterator[Path]:
    """A ZenML of its own within the block: configuration, database, artifact store and repository in a new folder.

    Code is still found from this project's root, whatever the working directory.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZENML_CONFIG_PATH", str(home / "config"))
        patch.setenv("ZENML_REPOSITORY_PATH", str(home))
        patch.setenv("ZENML_AUTO_OPEN_DASHBOARD", "false")
        from zenml.client import Client
        from zenml.config.global_config import GlobalConfiguration
        from zenml.utils import source_utils

        for singleton in (Client, GlobalConfiguration):  # made already if something imported a step before
            singleton._reset_instance()
        Client.initialize(home)
        patch.setattr(source_utils, "_CUSTOM_SOURCE_ROOT", str(ROOT))
        # Asked twice a run; reads the files of every package that is installed.
        patch.setattr(importlib.metadata, "packages_distributions", cache(importlib.metadata.packages_distributions))
        yield home
        for singleton in (Client, GlobalConfiguration):
            singleton._reset_instance()


@pytest.fixture(scope="session")
def zenml_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A ZenML that all tests of a process share."""
    with zenml_in(tmp_path_factory.mktemp("zenml")) as home:
        yield home


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real S3 server: yields its endpoint URL; the environment has address and credentials."""
    from infra.object_store import object_store

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "tester")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "only-for-tests")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.delenv("AWS_SESSION_TOKEN", raising=False)
        patch.delenv("AWS_PROFILE", raising=False)
        with object_store(tmp_path_factory.mktemp("seaweedfs")) as endpoint:
            patch.setenv("AWS_ENDPOINT_URL", endpoint)
            yield endpoint
