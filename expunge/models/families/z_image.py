"""Z-Image (2025, arXiv 2511.22699): one stream of text and picture; a language model reads the text."""

from typing import Any

import torch
from diffusers import ZImagePipeline
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from expunge.models.conditions import TOKENS, Conditions, cast
from expunge.models.diffusers_model import MASK
from expunge.models.flow import FlowModel


class ZImage(FlowModel):
    """Texts are as long as they are: filled up with zeros here, and cut again for the denoiser, which takes lists."""

    PIPELINE = ZImagePipeline
    WINDOW = 512

    @property
    def native_size(self) -> int:
        """The pipeline's default: no configuration says it."""
        return 1024

    def _encoded(self, texts: list[str], **more: Any) -> Conditions:
        found, _ = self.pipeline.encode_prompt(list(texts), device=self.device, do_classifier_free_guidance=False)
        lengths = [torch.ones(len(each), dtype=torch.long, device=each.device) for each in found]
        return {
            TOKENS: pad_sequence(found, batch_first=True),
            MASK: pad_sequence(lengths, batch_first=True),
        }

    def _prompted(self, conditions: Conditions, guidance: float) -> dict[str, Any]:
        """Its pipeline adds the difference to what is guided: 0 is what elsewhere is 1."""
        empty = self._empty(len(conditions[TOKENS]))
        return {
            "guidance_scale": guidance - 1,
            "prompt_embeds": _cut(cast(conditions, self.device, self.dtype)),
            "negative_prompt_embeds": _cut(cast(empty, self.device, self.dtype)),
        }

    def predict(self, denoiser: nn.Module, noisy: Tensor, level: Tensor, conditions: Conditions) -> Tensor:
        """The velocity. The denoiser predicts its opposite, and reads time backwards, in float32."""
        time = (1000 - self.time(level)) / 1000
        found = denoiser(list(noisy.unsqueeze(2)), time, _cut(conditions), return_dict=False)[0]
        return -torch.stack(list(found))[:, :, 0]

    def _worded(self, text: str, tokenizer: Any) -> str:
        """As a question."""
        return tokenizer.apply_chat_template(
            [{"role": "user", "content": text}], tokenize=False, add_generation_prompt=True, enable_thinking=True
        )


def _cut(conditions: Conditions) -> list[Tensor]:
    """Each text in its own length, ``(tokens, d)``."""
    return [each[mask.bool()] for each, mask in zip(conditions[TOKENS], conditions[MASK], strict=True)]
