"""The two models of an evaluation, from wherever people keep them."""

import re
from pathlib import Path

from expunge.errors import ExpungeError
from expunge.models.model_facts import ModelFacts
from expunge.models.sources import load_stable_diffusion
from expunge.models.stable_diffusion import StableDiffusion
from expunge.plugins import load_plugin

REGISTERED = re.compile(r"models:/(?P<name>[^/@]+)(?:@(?P<alias>[^/@]+)|/(?P<version>\d+))")


def open_model(source: str, field: str = "model") -> tuple[StableDiffusion, ModelFacts]:
    """Load a model.

    Args:
        source: ``zoo``, a diffusers folder, a hub id, ``s3://BUCKET/PREFIX``, ``models:/NAME@ALIAS``,
            ``models:/NAME/VERSION``, or an alias or number of the default registered model, e.g. ``champion``.
        field: how errors call it.

    Raises:
        ExpungeError: it is not there or cannot be loaded.
    """
    try:
        found, version = _located(source)
        model = load_stable_diffusion(found)
    except ExpungeError as error:
        raise ExpungeError(f"{field}: {str(error).removeprefix('base_model: ')}") from error
    return model, ModelFacts(source=source, version=version, digest=model.digest(), sampler=model.sampling())


def _located(source: str) -> tuple[str | Path, str]:
    """Where the weights lie, and the registered version they are, if any."""
    matched = REGISTERED.fullmatch(source)
    if source.startswith("models:") and not matched:
        raise ExpungeError(f"'{source}' given; write models:/NAME@ALIAS or models:/NAME/VERSION.")
    if not matched and (source == "zoo" or "/" in source or Path(source).is_dir()):
        return source, ""
    name, version = (matched["name"], matched["alias"] or matched["version"]) if matched else ("", source)
    return load_plugin("model_sources", "registry")(name, version)
