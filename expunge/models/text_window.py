"""How much of a text the encoders of a pipeline read."""

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar


class TextWindow:
    """Part of a model that diffusers has a pipeline for.

    Attributes:
        WINDOW: tokens that are read; None: as the tokenizers say.
    """

    WINDOW: ClassVar[int | None] = None
    pipeline: Any

    def cut_off(self, texts: Sequence[str]) -> list[str]:
        """What lies beyond the window of the text encoder that reads most; see the protocol."""
        tokenizer, window = max(self._readers(), key=lambda reader: reader[1])
        found = []
        for text in self.seen(texts):  # type: ignore[attr-defined]
            beyond = len(tokenizer(self._worded(text, tokenizer)).input_ids) - window
            tokens = tokenizer(self._plain(text, tokenizer), add_special_tokens=False).input_ids
            found.append(tokenizer.decode(tokens[-beyond:]).strip() if beyond > 0 else "")
        return found

    def _plain(self, text: str, tokenizer: Any) -> str:
        """A text with the tokens of textual inversions spelt out."""
        spelt = getattr(self.pipeline, "maybe_convert_prompt", None)
        return spelt(text, tokenizer) if spelt else text

    def _worded(self, text: str, tokenizer: Any) -> str:
        """A text as the tokenizer gets it, with whatever a family puts around it."""
        return self._plain(text, tokenizer)

    def _readers(self) -> Iterator[tuple[Any, int]]:
        """Tokenizers, with how many tokens their encoders read."""
        for name, part in self.pipeline.components.items():
            if name.startswith("tokenizer") and part is not None:
                tokenizer = getattr(part, "tokenizer", part)  # a processor has one
                yield tokenizer, self.WINDOW or tokenizer.model_max_length
