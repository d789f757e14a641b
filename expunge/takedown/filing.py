"""Filing a request: once for each thing, pictures first, so that a request that can be seen is whole."""

import contextlib
from dataclasses import dataclass
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from expunge.errors import ExpungeError
from expunge.takedown.entry import Entry
from expunge.takedown.life_cycle import RequestState
from expunge.takedown.object_store import AlreadyExists
from expunge.takedown.picture_files import MAX_BYTES, decode_pictures
from expunge.takedown.request import TakedownRequest
from expunge.takedown.request_file import build_request, derive_id, dump_request
from expunge.takedown.request_files import id_of

if TYPE_CHECKING:
    from expunge.takedown.inbox import Inbox

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


@dataclass(frozen=True)
class Filing:
    """The request as it lies in the inbox, its state, and whether this call created it."""

    request: TakedownRequest
    state: RequestState
    created: bool


def file_request(inbox: "Inbox", fields: dict[str, Any], paths: list[Path], request_id: str | None) -> Filing:
    """File a request, unless the same kind and target is pending, claimed or fulfilled: then return that one.

    One that failed, was rejected or had nothing to remove does not stand in the way: the new request gets the next free
    id, and a run looks for its target anew.

    Args:
        fields: of the request, without ``id`` and ``pictures``.
        paths: pictures to copy in; each is stored under a name that holds its hash.
        request_id: derived from kind and target if None.

    Raises:
        ExpungeError: a field or picture breaks a rule, or the id is taken by another request.
    """
    contents = {}
    for name, data, _ in decode_pictures((path.name, _read(path)) for path in paths):
        suffix = Path(name).suffix.lower()
        contents[sha256(data).hexdigest()[:16] + (suffix if suffix in SUFFIXES else "")] = data
    fields = fields | {"pictures": list(contents)}
    wanted = build_request(fields | {"id": "unnamed" if request_id is None else request_id})
    requests = {id_of(key): request for key, request in inbox.files.all().items()}
    for each, request in sorted(requests.items()):
        if _asks_for_it(request, wanted) and (filed := _same(inbox.entry(each), wanted)):
            return filed
    for number in count(1):
        request = build_request(fields | {"id": request_id or derive_id(wanted.kind, wanted.target, number)})
        if request.id not in requests and _create(inbox, request, contents):
            return Filing(request, inbox.state(request.id), created=True)
        if filed := _same(inbox.entry(request.id), request):  # somebody filed it at this very moment
            return filed
        if request_id is not None:
            raise ExpungeError(f"id: '{request_id}' is taken by another request; choose another id")
    raise AssertionError("count() never ends")


def _same(entry: Entry, request: TakedownRequest) -> Filing | None:
    """The entry as a filing if it makes the request needless."""
    if entry.request is None or not entry.state.is_live or not _asks_for_it(entry.request, request):
        return None
    return Filing(entry.request, entry.state, created=False)


def _asks_for_it(request: TakedownRequest | ExpungeError, wanted: TakedownRequest) -> bool:
    return isinstance(request, TakedownRequest) and request.asks_for(wanted.kind, wanted.target)


def _create(inbox: "Inbox", request: TakedownRequest, contents: dict[str, bytes]) -> bool:
    """Write pictures, then the request; returns False if the id was taken meanwhile."""
    for name, data in contents.items():
        with contextlib.suppress(AlreadyExists):  # the name holds the hash, so what is there is the same
            inbox.store.create(f"{request.id}/{name}", data)
    try:
        inbox.store.create(f"{request.id}.yaml", dump_request(request))
    except AlreadyExists:
        return False
    return True


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ExpungeError(f"picture '{path}': cannot be read: {error.strerror}") from error
