"""Full gradients of both objectives at θ₀, their second moments, and the map of where they conflict.

A gradient is only right where it was taken: the cache is keyed by model, data, objective and seeds, and
serves as warm start of the second moment, saliency mask and conflict map. It is never replayed as if it were fresh.
"""

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from expunge.errors import ExpungeError
from expunge.progress import progress_bar
from expunge.unlearning.batches import Batch, LatentSet, draw_batch, generator_of
from expunge.unlearning.gradients import cosine_of
from expunge.unlearning.problem import Problem
from expunge.unlearning.products import dot_products
from expunge.unlearning.unlearn_settings import GradientSettings

FORMAT_VERSION = 2
KINDS = ("forget", "retain", "forget_second", "retain_second")
Loss = Callable[[Batch], Tensor]


@dataclass(frozen=True)
class GradientCache:
    """What was measured at θ₀. Tensors by parameter name; a parameter that a loss ignores has no entry.

    Attributes:
        key: SHA-256 over model hash, data hashes, objective, seeds, sizes and what is trained.
        forget: gradient of the mean forget loss over the forget set.
        retain: gradient of the mean retain loss over the retain set.
        forget_second: mean of squared minibatch gradients of the forget loss, element by element.
        retain_second: the same of the retain loss.
        forget_loss: mean over the forget set.
        retain_loss: mean over the retain set.
        batch_size: of the minibatches; the second moments depend on it.
        forget_losses: weights of the forget losses, by name.
        forget_threshold: τ of the truncated one.
        forget_guidance: η of the anchor.
    """

    key: str
    forget: dict[str, Tensor]
    retain: dict[str, Tensor]
    forget_second: dict[str, Tensor]
    retain_second: dict[str, Tensor]
    forget_loss: float
    retain_loss: float
    batch_size: int
    forget_losses: dict[str, float]
    forget_threshold: float
    forget_guidance: float

    @property
    def cosine(self) -> float:
        """Cosine between the two full gradients over the whole model, −1 to 1."""
        names = sorted(self.forget.keys() | self.retain.keys())
        return cosine_of(*dot_products(*self._both(names)))

    def preconditioner(
        self, retain_weight: float, epsilon: float, cut: Callable[[str, Tensor], Tensor] = lambda name, whole: whole
    ) -> dict[str, Tensor]:
        """The diagonal of P at θ₀ by parameter, √(E[g_f²] + λ² E[g_r²]) + ε: what a warm `RestrictedAdam` begins with.

        Only of parameters that the forget loss depends on.

        Args:
            cut: of a parameter and its squares, what is wanted of them; nothing else is ever in memory.
        """
        found = {}
        for name, second in self.forget_second.items():
            squares = cut(name, second)
            if name in self.retain_second:
                squares = squares + retain_weight**2 * cut(name, self.retain_second[name])
            found[name] = squares.sqrt().add_(epsilon)
        return found

    def conflict_map(self) -> pd.DataFrame:
        """One row a parameter: name, layer, elements, forget_norm, retain_norm, cosine (−1 to 1)."""
        rows = []
        for name in sorted(self.forget.keys() | self.retain.keys()):
            ff, fr, rr = dot_products(*self._both([name]))
            rows.append(
                {
                    "parameter": name,
                    "layer": name.rpartition(".")[0] or name,
                    "elements": (self.forget.get(name, self.retain.get(name, torch.empty(0)))).numel(),
                    "forget_norm": math.sqrt(ff),
                    "retain_norm": math.sqrt(rr),
                    "cosine": cosine_of(ff, fr, rr),
                }
            )
        return pd.DataFrame(rows)

    def save(self, folder: Path) -> None:
        """Write ``gradients.safetensors`` and ``gradients.json`` into the folder, made if need be."""
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {f"{kind}/{n}": t.contiguous() for kind in KINDS for n, t in getattr(self, kind).items()}
        save_file(tensors, folder / "gradients.safetensors")
        facts = {
            "format_version": FORMAT_VERSION,
            "key": self.key,
            "forget_loss": self.forget_loss,
            "retain_loss": self.retain_loss,
            "batch_size": self.batch_size,
            "forget_losses": self.forget_losses,
            "forget_threshold": self.forget_threshold,
            "forget_guidance": self.forget_guidance,
        }
        (folder / "gradients.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "GradientCache":
        """Read what `save` wrote.

        Raises:
            ExpungeError: a file is missing or broken, or of another format version.
        """
        try:
            facts = json.loads((folder / "gradients.json").read_text(encoding="utf-8"))
            version = facts.pop("format_version", None)
            if version != FORMAT_VERSION:
                raise ExpungeError(
                    f"gradient cache {folder}: format version {version!r}, this release reads "
                    f"{FORMAT_VERSION}; make the cache again"
                )
            tensors = load_file(folder / "gradients.safetensors")
            kinds: dict[str, Any] = {kind: {} for kind in KINDS}
            for name, tensor in tensors.items():
                kind, _, parameter = name.partition("/")
                kinds[kind][parameter] = tensor
            return cls(**facts, **kinds)
        except (OSError, json.JSONDecodeError, SafetensorError, KeyError, TypeError) as error:
            raise ExpungeError(f"gradient cache {folder}: {error}; make the cache again") from error

    def _both(self, names: list[str]) -> tuple[list[Tensor | None], list[Tensor | None]]:
        return [self.forget.get(name) for name in names], [self.retain.get(name) for name in names]


def cache_gradients(
    problem: Problem, settings: GradientSettings, model_hash: str, progress: bool = True
) -> GradientCache:
    """Full forget and retain gradients at the model as it is now.

    Args:
        problem: both objectives over both sets; its denoiser is left as it is. The retain loss is the data loss,
            whatever the alignment: that against the original has no gradient at θ₀.
        settings: how.
        model_hash: of the denoiser's weights, for the key.
        progress: whether to show a progress bar.
    """
    objectives, denoiser, measured = problem.objectives, problem.denoiser, list[_Measured]()
    sides = ((problem.sets.forget, problem.forget_loss), (problem.sets.retain, problem.data_loss))
    was_training = denoiser.training
    denoiser.eval()
    with progress_bar(progress) as bar:
        for stream, (data, loss_of) in enumerate(sides):
            total = settings.draws * -(-len(data) // settings.batch_size)
            task = bar.add_task(f"Measuring the {('forget', 'retain')[stream]} gradient", total=total, note="")
            batches = bar.track(_passes(data, problem.process.levels, settings, stream), total=total, task_id=task)
            measured.append(_measure(problem, loss_of, batches, settings.draws * len(data)))
    denoiser.train(was_training)
    f, r = measured
    facts = [FORMAT_VERSION, model_hash, *(data.digest() for data, _ in sides), dict(objectives.forget)]
    facts += [
        objectives.forget_threshold,
        objectives.forget_guidance,
        settings.seed,
        settings.batch_size,
        settings.draws,
        {name: list(each.shape) for name, each in problem.trained.items()},
    ]
    return GradientCache(
        key=hashlib.sha256(json.dumps(facts).encode()).hexdigest(),
        forget=f.gradient,
        retain=r.gradient,
        forget_second=f.second,
        retain_second=r.second,
        forget_loss=f.loss,
        retain_loss=r.loss,
        batch_size=settings.batch_size,
        forget_losses=dict(objectives.forget),
        forget_threshold=objectives.forget_threshold,
        forget_guidance=objectives.forget_guidance,
    )


@dataclass
class _Measured:
    loss: float
    gradient: dict[str, Tensor]
    second: dict[str, Tensor]


def _passes(data: LatentSet, levels: int, settings: GradientSettings, stream: int) -> Iterator[Batch]:
    for draw in range(settings.draws):
        generator = generator_of(settings.seed, stream, draw)
        order = torch.randperm(len(data), generator=generator)
        for indices in order.split(settings.batch_size):
            yield draw_batch(data, indices, levels, generator)


def _measure(problem: Problem, loss_of: Loss, batches: Iterable[Batch], total: int) -> _Measured:
    measured, names = _Measured(0.0, {}, {}), list(problem.parameters)
    for batch in batches:
        share = len(batch) / total

        @torch.no_grad()
        def take(index: int, gradient: Tensor, share: float = share) -> None:
            for kind, value in ((measured.gradient, gradient), (measured.second, gradient.square())):
                kind.setdefault(names[index], torch.zeros_like(gradient)).add_(value, alpha=share)

        measured.loss += share * problem.each_gradient(loss_of, batch, take)
    if problem.ranks.sharded:
        measured.gradient, measured.second = problem.whole(measured.gradient), problem.whole(measured.second)
    return measured
