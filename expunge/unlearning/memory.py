"""How much memory a job will take where it computes, reckoned from a model's configuration before anything is loaded.

Parameters, twin, moments and cached gradients are counted, each as it is held; what a pass keeps for its backward pass
is found by going through one with tensors that have shapes and no content. What weights held in bf16 came as is in main
memory or in the file they were read from, and not counted. Nor is the first model's denoiser, which a run on top of a
champion has beside these.
"""

import weakref
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakIdKeyDictionary

from expunge.models.conditions import Conditions
from expunge.models.device import choose_device
from expunge.models.diffusers_model import DiffusersModel
from expunge.models.hardware import HardwareSettings, computing
from expunge.pictures.drawing import DrawingSettings
from expunge.unlearning.calibration import PICTURES, RETAIN_BATCHES
from expunge.unlearning.sharding import blocks_of
from expunge.unlearning.unlearn_settings import GradientSettings, UnlearnSettings

MOMENTS = 3
AT_THETA_0 = 4  # gradient and squares of both objectives


@dataclass(frozen=True)
class Memory:
    """What a job takes on the device of each of its processes, in bytes.

    Attributes:
        denoiser: of the base, as it is held.
        others: text encoders and autoencoder.
        trained: parameters that are trained; the unit of what follows.
        phases: the largest need of each phase, everything in it included, by name.
        unknown: why passes could not be gone through, so that phases leave out activations; empty if they could.
    """

    denoiser: int
    others: int
    trained: int
    phases: dict[str, int]
    unknown: str = ""

    @property
    def peak(self) -> int:
        """The largest of all phases."""
        return max(self.phases.values())


def reckon(
    model: DiffusersModel,
    drawing: DrawingSettings,
    gradients: GradientSettings,
    unlearning: UnlearnSettings,
    hardware: HardwareSettings,
) -> Memory:
    """What gradients, rate, steps and drawing will take.

    Args:
        model: a ``blueprint``.
        drawing: how pictures are drawn.
        gradients: how gradients are measured.
        unlearning: how the model is unlearned; by the default method.
        hardware: precision and processes.
    """
    model.at_size(drawing.size).on("meta", hardware.precision)
    twin = model.to_train(unlearning.trained)
    whole, own = _bytes(model.denoiser), {id(p) for p in model.denoiser.parameters()}
    others = sum(_bytes(each) for each in model.parts().values() if isinstance(each, nn.Module)) - whole
    trained = sum(_size(p) for p in twin.denoiser.parameters() if p.requires_grad)
    added = sum(_size(p) for p in twin.denoiser.parameters() if id(p) not in own)
    held, unit, later = others + whole + added, trained, added  # what is there from the first step on
    if hardware.sharded:  # the twin shares nothing with the base, which an adapter does not need
        later = 0 if unlearning.trained.what == "lora" else whole // hardware.processes
        held = others + _whole_at_once(twin.denoiser) + _bytes(twin.denoiser) // hardware.processes + later
        unit = trained // hardware.processes
    # Gradients at the start are taken at the base's own weights, and the measured rate goes back to them, if these are
    # not rounded.
    rounded = hardware.precision == "bf16"
    directions = min(-(-PICTURES // unlearning.retain_batch_size), RETAIN_BATCHES)
    # In the loop encoders are in main memory, which on the CPU is where they were.
    inside = held - (0 if choose_device(hardware.device) == "cpu" else others)
    mask = 0 if unlearning.saliency is None else unit // 4  # a bool for each float32 number
    inside += mask
    phases = {
        "gradients at the start": held + AT_THETA_0 * unit - (0 if rounded and not hardware.sharded else later),
        "measuring the rate": inside + (directions + (rounded or hardware.sharded)) * unit,
        "forget gradient": inside + (MOMENTS + hardware.sharded) * unit,
        "retain gradient": inside + (MOMENTS + 1) * unit,
        "drawing": held + mask + MOMENTS * unit,
        "evaluation": 2 * (others + whole),  # two models, of which one draws at a time, whatever was sharded
    }
    unknown = ""
    try:
        passes = _Passes(model, twin, unlearning, hardware).by_phase(gradients.batch_size, drawing)
    except (RuntimeError, NotImplementedError) as error:
        passes, unknown = {}, str(error).partition("\n")[0]
    phases = {name: size + passes.get(name, 0) for name, size in phases.items()}
    if unlearning.learning_rate is not None:
        del phases["measuring the rate"]
    return Memory(whole, others, trained, phases, unknown)


class _Passes:
    """The most that passes have in memory at once beside parameters, in bytes."""

    def __init__(
        self, model: DiffusersModel, twin: DiffusersModel, how: UnlearnSettings, hardware: HardwareSettings
    ) -> None:
        self.model, self.twin, self.how = model, twin, how
        # Of shards, gradients are cut as a pass finds them; `reckon` counts what is left of them.
        self.processes, self.sharded = hardware.processes, hardware.sharded
        self.trained = [p for p in twin.denoiser.parameters() if p.requires_grad]
        self.conditions = model.encode_texts([""])
        self.predictions = how.objectives().forget_loss.forward_passes

    def by_phase(self, cached_at_once: int, drawing: DrawingSettings) -> dict[str, int]:
        """Those of each phase of `reckon`."""
        forget, retain = self.how.forget_batch_size, self.how.retain_batch_size
        return {
            "gradients at the start": self.training(cached_at_once, self.predictions, freed=True),
            "measuring the rate": self.training(retain, 0, freed=self.sharded),
            "forget gradient": self.training(forget, self.predictions, freed=self.sharded),
            "retain gradient": self.training(retain, int(self.how.alignment == "original"), freed=True),
            "drawing": (drawn := self.drawing(drawing)),
            "evaluation": drawn,
        }

    def training(self, pictures: int, predictions: int, freed: bool) -> int:
        """Of a loss and its gradient: activations, and gradients until they are taken.

        Args:
            pictures: of a batch, over all processes.
            predictions: of the original, after that of the model.
            freed: whether each gradient is taken as soon as it is there, or all of them at the end.
        """

        def work() -> None:
            asked = self._asked(-(-pictures // self.processes))
            loss = self.twin.predict(self.twin.denoiser, *asked)
            for _ in range(predictions):
                with torch.no_grad():
                    goal = self.model.predict(self.model.denoiser, *asked)
                loss = loss - goal
            loss.square().mean().backward()

        hooks = [each.register_post_accumulate_grad_hook(_let_go) for each in self.trained if freed]
        with _Fused(), Watch(self.model, self.twin) as watch, self._computing():
            work()
        for hook in hooks:
            hook.remove()
        for each in self.trained:
            each.grad = None
        return watch.peak

    def drawing(self, settings: DrawingSettings) -> int:
        """Of a sampler's step, and of the autoencoder after the last one."""
        guided = 2 if settings.guidance > 1 else 1
        with torch.no_grad():
            with _Fused(), Watch(self.model) as step, self._computing():
                self.model.predict(self.model.denoiser, *self._asked(guided * settings.batch_size))
            with _Fused(), Watch(self.model) as decoding, self._computing():
                self.model.decode_nothing(settings.batch_size)
        return max(step.peak, decoding.peak)

    def _computing(self) -> AbstractContextManager[Any]:
        return computing(self.model.precision, self.model.device)

    def _asked(self, count: int) -> tuple[Tensor, Tensor, Conditions]:
        level = torch.full((count,), self.model.levels // 2, device="meta")
        noisy = torch.empty(count, *self.model.latent_shape, device="meta")
        return noisy, level, {name: each.expand(count, *each.shape[1:]) for name, each in self.conditions.items()}


class _Attention(torch.autograd.Function):
    """What a device's fused attention has in memory: no scores, which torch would spell out on ``meta``."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Keeps its inputs, its output and a number for each row."""
        answer = query.new_empty(*query.shape[:-1], value.shape[-1])
        ctx.save_for_backward(query, key, value, answer, query.new_empty(query.shape[:-1]))
        return answer

    @staticmethod
    def backward(ctx: Any, *gradient: Tensor) -> Any:
        """A gradient for each input."""
        query, key, value, _, _ = ctx.saved_tensors
        return torch.empty_like(query), torch.empty_like(key), torch.empty_like(value)


class _Fused(TorchFunctionMode):
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.nn.functional.scaled_dot_product_attention:
            given = dict(zip(("query", "key", "value"), args, strict=False)) | (kwargs or {})
            return _Attention.apply(given["query"], given["key"], given["value"])
        return func(*args, **(kwargs or {}))


class Watch(TorchDispatchMode):
    """Bytes of the tensors that are made within the block and still there, at their most.

    Attributes:
        peak: the most so far.
    """

    def __init__(self, *models: DiffusersModel) -> None:
        super().__init__()
        self.now = self.peak = 0
        modules = [each for model in models for each in model.parts().values() if isinstance(each, nn.Module)]
        own = [t for module in modules for t in (*module.parameters(), *module.buffers())]
        self.known = WeakIdKeyDictionary({each.untyped_storage(): 0 for each in own})

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Count what comes out of an operation, unless it lies in memory that is counted already."""
        made = func(*args, **(kwargs or {}))
        for each in tree_leaves(made):
            if isinstance(each, Tensor) and (storage := each.untyped_storage()) not in self.known:
                self.known[storage] = storage.nbytes()
                self.now += storage.nbytes()
                weakref.finalize(storage, self._gone, storage.nbytes())
        self.peak = max(self.peak, self.now)
        return made

    def _gone(self, size: int) -> None:
        self.now -= size


def _let_go(parameter: Tensor) -> None:
    parameter.grad = None


def _size(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _bytes(module: nn.Module) -> int:
    return sum(map(_size, module.parameters()))


def _whole_at_once(denoiser: nn.Module) -> int:
    """Of a sharded denoiser, what is whole at the most within a backward pass: what is left outside the blocks; a block
    and the next one, which is fetched meanwhile; the block's gradients, and their copy on its way to the others."""
    counted: set[int] = set()
    sizes = []
    for block in blocks_of(denoiser):
        own = [p for p in block.parameters() if id(p) not in counted]
        counted.update(map(id, own))
        sizes.append(sum(map(_size, own)))
    *blocks, left = sizes
    return left + 4 * max(blocks, default=left)
