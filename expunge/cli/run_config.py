"""Configurations of ``unlearn_pipeline``, as commands read them that look at one and do not run it."""

import os
from pathlib import Path
from typing import Any

import yaml

from expunge.errors import ExpungeError
from expunge.takedown.model_name import DEFAULT_NAME, check_name


def read_parameters(config: Path) -> dict[str, Any]:
    """What stands under ``parameters``.

    Raises:
        ExpungeError: there is no such file, or it is no YAML or no configuration.
    """
    try:
        content = yaml.safe_load(config.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ExpungeError(f"config: there is no file {config}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ExpungeError(f"config: {config} is no YAML: {' '.join(str(error).split())[:200]}") from error
    parameters = content.get("parameters") if isinstance(content, dict) else None
    if not isinstance(parameters, dict):
        raise ExpungeError(f"config: {config} has no 'parameters'; give a config of unlearn_pipeline.")
    return parameters


def inbox_and_model(parameters: dict[str, Any]) -> tuple[str, str]:
    """The inbox, a folder or ``s3://`` URL, and the registered model that these parameters are about.

    What they do not name is what ``EXPUNGE_INBOX`` and ``EXPUNGE_MODEL`` say, as for every command.

    Raises:
        ExpungeError: the model's name is none.
    """
    model = parameters.get("registered_model") or os.environ.get("EXPUNGE_MODEL") or DEFAULT_NAME
    inbox = parameters.get("inbox") or os.environ.get("EXPUNGE_INBOX") or ".expunge/inbox"
    return str(inbox), check_name(model, "registered_model")
