"""The reference pictures that requests bring, in the size the model draws."""

import numpy as np
from PIL import Image, ImageOps

from expunge.takedown.inbox import Inbox
from expunge.takedown.object_store import open_store
from expunge.takedown.request import Kind, TakedownBatch


def read_references(inbox: str, batch: TakedownBatch, size: int) -> dict[str, np.ndarray]:
    """Pictures by request id, cropped to the middle square and scaled: uint8 ``(n, size, size, 3)``.

    Requests without pictures have no entry; of those of earlier runs memorised pictures have one, by which their return
    is told. One picture at a time is held at its full size.

    Raises:
        ExpungeError: a picture is missing, bad, or not the one that was there when its request was claimed.
    """
    box = Inbox(open_store(inbox))
    return {
        request.id: np.stack([_fitted(pixels, size) for pixels in box.pictures(request)])
        for request in (*batch.requests, *(each for each in batch.forgotten if each.kind is Kind.IMAGES))
        if request.pictures
    }


def _fitted(pixels: np.ndarray, size: int) -> np.ndarray:
    return np.asarray(ImageOps.fit(Image.fromarray(pixels), (size, size)))
