"""The reference pictures that requests bring, in the size the model draws."""

import numpy as np
from PIL import Image, ImageOps

from expunge.takedown.inbox import Inbox
from expunge.takedown.object_store import open_store
from expunge.takedown.request import TakedownBatch


def read_references(inbox: str, batch: TakedownBatch, size: int) -> dict[str, np.ndarray]:
    """Pictures by request id, cropped to the middle square and scaled: uint8 ``(n, size, size, 3)``.

    Requests without pictures have no entry.

    Raises:
        ExpungeError: a picture is missing or bad.
    """
    box = Inbox(open_store(inbox))
    found = {}
    for request in batch.requests:
        if request.pictures:
            pictures = [Image.fromarray(box.read_picture(request, name)) for name in request.pictures]
            found[request.id] = np.stack([np.asarray(ImageOps.fit(each, (size, size))) for each in pictures])
    return found
