"""What a model's digest is made of: weights, configuration and vocabulary, wherever they lie."""

import hashlib
import inspect
import json
from collections.abc import Mapping
from typing import Any

import torch

from expunge.models.held_weights import as_it_came

# Of a transformers configuration: what says who wrote it, not what it draws. Keys that begin with "_" are left out too.
ORIGIN = {"transformers_version", "architectures", "dtype", "torch_dtype", "model_type", "name_or_path"}


def content_digest(parts: Mapping[str, Any], *facts: str) -> str:
    """SHA-256 over everything that pictures depend on.

    Args:
        parts: modules, schedulers and tokenizers by name.
        facts: whatever else matters.
    """
    digest = hashlib.sha256("\n".join(facts).encode())
    for name, part in sorted(parts.items()):
        told = {"part": name, "class": type(part).__name__, "facts": facts_of(part)}
        digest.update(json.dumps(told, sort_keys=True, default=str).encode())
        if isinstance(part, torch.nn.Module):
            update_with_weights(digest, name, part)
    return digest.hexdigest()


def module_digest(module: torch.nn.Module, *facts: str) -> str:
    """SHA-256 over a module's tensors and whatever else its answers depend on."""
    digest = hashlib.sha256("\n".join(facts).encode())
    update_with_weights(digest, "module", module)
    return digest.hexdigest()


def update_with_weights(digest: Any, component: str, module: torch.nn.Module) -> None:
    """Feed names, shapes, dtypes and values of a module's tensors to a hash, in the order of their names; of those held
    in bf16 what they came as."""
    for name, kept in sorted(module.state_dict(keep_vars=True).items()):
        tensor = as_it_came(kept)
        digest.update(f"{component}.{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        digest.update(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy().tobytes())


def facts_of(part: Any) -> dict[str, Any]:
    """How a part of a pipeline is set up. Defaults are left out, so that a library's new option changes nothing."""
    if hasattr(part, "tokenizer"):  # a processor of texts and pictures
        return {"template": part.chat_template, **_tokenizer_facts(part.tokenizer)}
    if hasattr(part, "get_vocab"):
        return _tokenizer_facts(part)
    if hasattr(part.config, "to_diff_dict"):
        known = part.config.to_diff_dict()
        return {key: value for key, value in known.items() if key not in ORIGIN and not key.startswith("_")}
    # Leftovers of another kind of scheduler are no parameters: they are lost when it is saved.
    defaults = {name: each.default for name, each in inspect.signature(type(part).__init__).parameters.items()}
    config = {key: value for key, value in dict(part.config).items() if key in defaults and not key.startswith("_")}
    return {key: value for key, value in config.items() if _written(value) != _written(defaults[key])}


def _written(value: Any) -> str:
    return json.dumps(value, default=str)


def _tokenizer_facts(tokenizer: Any) -> dict[str, Any]:
    """Vocabulary, merges and added tokens. How the last batch was padded and cut is left out."""
    facts = {"length": tokenizer.model_max_length, "side": tokenizer.padding_side}
    facts["special"] = tokenizer.special_tokens_map
    if getattr(tokenizer, "chat_template", None):
        facts["template"] = tokenizer.chat_template
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return facts | {"vocabulary": tokenizer.get_vocab()}
    rules = json.loads(backend.to_str())
    return facts | {key: value for key, value in rules.items() if key not in ("padding", "truncation")}
