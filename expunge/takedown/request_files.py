"""Reading what lies in an inbox: request files and the pictures that they name. One bad file is its own fault alone."""

from collections.abc import Iterator
from hashlib import sha256

from expunge.errors import ExpungeError
from expunge.takedown.index import Index, without_collecting
from expunge.takedown.object_store import MissingKey, Store, StoreUnreachable
from expunge.takedown.picture_files import MAX_BYTES as MAX_PICTURE_BYTES
from expunge.takedown.picture_files import decode_pictures
from expunge.takedown.request import REQUEST_ID, TakedownRequest
from expunge.takedown.request_file import MAX_BYTES, parse_request

_NAMED = 20  # of the ids that there are, in a complaint


class RequestFiles:
    """The requests in a store, as they were filed or dropped there.

    Args:
        store: that of the inbox.
        model: the registered model below whose states their index lies.
    """

    def __init__(self, store: Store, model: str) -> None:
        self._store = store
        self._index = Index(store, f".models/{model}/index/requests", TakedownRequest)

    def stamps(self) -> dict[str, str]:
        """The request files, with their stamps: YAML in the root, not hidden."""
        return {
            key: stamp
            for key, stamp in self._store.stamps(deep=False).items()
            if not key.startswith(".") and key.lower().endswith((".yaml", ".yml"))
        }

    @without_collecting()
    def all(self) -> dict[str, TakedownRequest | ExpungeError]:
        """Every request by its key, or why it is none. Raises StoreUnreachable."""
        stamps = self.stamps()
        known = self._index.known(stamps)
        known = {key: request for key, request in known.items() if key == f"{request.id}.yaml"}
        read: dict[str, TakedownRequest] = {}
        bad: dict[str, ExpungeError] = {}
        for key in stamps:
            if key not in known:
                try:
                    read[key] = self.read(key)[0]
                except StoreUnreachable:
                    raise
                except ExpungeError as error:
                    bad[key] = error
        self._index.keep(stamps, known, read)
        found: dict[str, TakedownRequest | ExpungeError] = {**known, **read, **bad}
        return {key: found[key] for key in stamps}

    def find(self, request_id: str) -> TakedownRequest | ExpungeError:
        """One request, or why it is none.

        Raises:
            ExpungeError: there is none under that id; the message lists what there is.
        """
        key: str | None = f"{request_id}.yaml"
        if not REQUEST_ID.fullmatch(request_id):  # perhaps a stand-in
            key = next((each for each in self.stamps() if id_of(each) == request_id), None)
        try:
            if key is not None:
                return self.read(key)[0]
        except StoreUnreachable:
            raise
        except MissingKey:
            pass
        except ExpungeError as error:
            return error
        ids = sorted(map(id_of, self.stamps()))
        more = f" and {len(ids) - _NAMED:,} more" if len(ids) > _NAMED else ""
        raise ExpungeError(
            f"id: no request '{request_id}' in the inbox. It holds: {', '.join(ids[:_NAMED]) or 'none'}{more}"
        )

    def read(self, key: str) -> tuple[TakedownRequest, bytes]:
        """A request and its file's bytes.

        Raises:
            ExpungeError: it is no request; the message says why.
            StoreUnreachable: the store does not answer, which is no fault of the request.
        """
        request_id = id_of(key)
        if key != f"{request_id}.yaml":
            raise ExpungeError(
                f"file {key[:80]!r}: a request's file is named ID.yaml, with an id of at most 63 lower-case "
                "letters, digits and hyphens; rename it"
            )
        data = self._store.read(key, MAX_BYTES)
        try:
            return parse_request(data, request_id, lambda: self._store.modified(key)), data
        except (ExpungeError, MemoryError):
            raise
        except Exception as error:  # whatever a file makes its readers raise is that file's fault alone
            raise ExpungeError(f"the request file cannot be read: {type(error).__name__}: {error}") from error

    def examine(self, key: str) -> tuple[TakedownRequest, dict[str, str]]:
        """Read a request with its pictures and check them; also the SHA-256 of every object. Raises as ``read``."""
        request, data = self.read(key)
        hashes = {key: sha256(data).hexdigest()}
        for name, data, _ in decode_pictures(self.pictures(request)):
            hashes[f"{request.id}/{name}"] = sha256(data).hexdigest()
        return request, hashes

    def pictures(self, request: TakedownRequest) -> Iterator[tuple[str, bytes]]:
        """The name and the bytes of each picture that a request names. Raises as ``read``."""
        for name in request.pictures:
            try:
                yield name, self._store.read(f"{request.id}/{name}", MAX_PICTURE_BYTES)
            except StoreUnreachable:
                raise
            except MissingKey as error:
                raise ExpungeError(f"picture '{name}': is missing; put it into the folder '{request.id}'") from error
            except ExpungeError as error:
                raise ExpungeError(f"picture '{name}': {error}") from error


def id_of(key: str) -> str:
    """The id of the request in a file; for a file whose name is no id, a stand-in that begins with ``_``."""
    stem = key.removesuffix(".yaml")
    if stem != key and REQUEST_ID.fullmatch(stem):
        return stem
    # No id can begin with an underscore, so a stand-in never meets one.
    return f"_{sha256(key.encode(errors='surrogateescape')).hexdigest()[:12]}"
