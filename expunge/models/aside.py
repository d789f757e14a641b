"""Models, or their text encoders and autoencoder, off the device while nobody asks them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from accelerate import cpu_offload_with_hook

from expunge.models.text_to_image import TextToImage


@contextmanager
def encoders_aside(model: TextToImage, device: str) -> Iterator[Callable[[], None]]:
    """Keep all parts but the denoiser in main memory within the block; each comes to the device when it is asked.

    Args:
        model: whose parts; at the end they are on the device again.
        device: where the model computes; on the CPU nothing is moved.

    Yields:
        What sends back those that came, until they are asked again.
    """
    modules = [each for each in model.modules() if each is not model.denoiser]
    if device == "cpu":
        modules = []
    hooks = [cpu_offload_with_hook(each, device)[1] for each in modules]

    def send_back() -> None:
        for each in hooks:
            each.offload()

    try:
        yield send_back
    finally:
        for hook, module in zip(hooks, modules, strict=True):
            hook.remove()
            module.to(device)


@contextmanager
def aside(model: TextToImage) -> Iterator[None]:
    """Keep a whole model in main memory within the block, so that its device is free for others; back at the end."""
    device = model.device
    model.to("cpu")
    try:
        yield
    finally:
        model.to(str(device))
