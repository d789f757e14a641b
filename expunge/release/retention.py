"""What is kept of the forbidden once a takedown is closed."""

from typing import Literal

from expunge.settings import Settings

Forbidden = Literal["at once", "when fulfilled", "keep"]
Thumbnails = Literal["blurred", "none"]
Superseded = Literal["keep", "hide", "delete"]


class RetentionSettings(Settings):
    """What becomes of pictures of a target, its gradients, and models that still draw it. Numbers and hashes stay.

    Attributes:
        forbidden: ``at once``: pictures and gradients leave artifact store, tracking server and local folders when
            their request is closed. ``when fulfilled``: those of a failed one stay, so that trying again draws nothing
            anew. ``keep``: all stay until ``expunge purge``.
        thumbnails: what is left of those pictures in pages: eight pixels a side, or nothing.
        superseded_versions: of the registered versions that still draw something taken down, and are neither champion
            nor former champion nor made from the champion: ``keep``; ``hide``, then Expunge opens none of them; or
            ``delete`` them with their files. All that still draw it are marked.
    """

    forbidden: Forbidden = "at once"
    thumbnails: Thumbnails = "blurred"
    superseded_versions: Superseded = "keep"
