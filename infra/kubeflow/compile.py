"""Compile the pipeline for Kubeflow Pipelines, in the environment that ``make setup-kubeflow`` makes.

.venv-kubeflow/bin/python -m infra.kubeflow.compile --image REGISTRY/expunge:1.0 --out pipeline.yaml
"""

import argparse
import sys
from pathlib import Path

import yaml
from google.protobuf import json_format
from kfp import compiler
from kfp.components import load_component_from_file
from kfp.kubernetes import kubernetes_executor_config_pb2
from kfp.pipeline_spec import pipeline_spec_pb2

from expunge.errors import ExpungeError
from infra.kubeflow.pipeline import make_pipeline
from infra.kubeflow.settings import check_image, read_settings

SETTINGS = Path(__file__).with_name("settings.yaml")


def check_spec(path: Path) -> None:
    """Read a compiled pipeline as Kubeflow's own servers and clients do.

    Raises:
        ExpungeError: it has an unknown field or a value of the wrong type, or cannot be loaded.
    """
    try:
        pipeline, platforms = yaml.safe_load_all(path.read_text(encoding="utf-8"))
        json_format.ParseDict(pipeline, pipeline_spec_pb2.PipelineSpec())
        json_format.ParseDict(platforms, pipeline_spec_pb2.PlatformSpec())
        # The part for Kubernetes is any JSON to the message above; this one knows its fields.
        executors = platforms["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
        for executor in executors.values():
            json_format.ParseDict(executor, kubernetes_executor_config_pb2.KubernetesExecutorConfig())
        load_component_from_file(str(path))
    except (json_format.ParseError, yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise ExpungeError(f"{path}: is no pipeline that Kubeflow reads: {' '.join(str(error).split())}") from error


def main() -> None:
    """Compile and check."""
    parser = argparse.ArgumentParser(description="Compile the pipeline for Kubeflow Pipelines.")
    parser.add_argument("--image", required=True, help="made by infra/image/Dockerfile; with a tag or a digest")
    parser.add_argument("--settings", type=Path, default=SETTINGS, help="of the cluster; by default %(default)s")
    parser.add_argument("--out", type=Path, required=True, help="for example pipeline.yaml")
    options = parser.parse_args()
    try:
        if options.out.suffix != ".yaml":
            raise ExpungeError(f"out: {options.out} given; its name must end in .yaml")
        made = make_pipeline(check_image(options.image), read_settings(options.settings))
        try:
            compiler.Compiler().compile(made, str(options.out))
        except OSError as error:
            raise ExpungeError(f"out: {options.out} cannot be written: {error.strerror}") from error
        check_spec(options.out)
    except ExpungeError as error:
        sys.exit(f"Error: {error}")
    print(f"Wrote {options.out}. Nothing secret is in it; the Secrets that it names must be in the runs' namespace.")


if __name__ == "__main__":
    main()
