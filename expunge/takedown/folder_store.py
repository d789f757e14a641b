"""A folder as an object store. Keys cannot leave it, symbolic links are never followed, writes are atomic."""

import contextlib
import os
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from errno import EACCES, EISDIR, ELOOP, ENAMETOOLONG, ENOTDIR, ENXIO, EPERM
from pathlib import Path
from secrets import token_hex

from expunge.errors import ExpungeError
from expunge.takedown.object_store import AlreadyExists, MissingKey, StoreUnreachable, check_key, too_large

_TEMPORARY = ".tmp-"
_SETTLED = 2 * 10**9  # ns; a file written twice within one tick of the file system's clock may keep its times
# What one bad object can cause; any other error is the disk's or the system's.
_THE_OBJECTS_OWN = {EACCES, EPERM, EISDIR, ELOOP, ENAMETOOLONG, ENOTDIR, ENXIO}


class FolderStore:
    """Objects are files below ``root``, which is made at the first write.

    A file appears under its key by ``os.link`` (refused if the key is taken) or ``os.replace``, after its
    bytes are on the disk: a reader, or a process killed half-way, never leaves or sees a part. The file
    system must know hard links. Folders are opened one by one relative to their parent, so that nothing
    swapped in meanwhile is followed.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def __str__(self) -> str:
        return str(self.root)

    def list(self, prefix: str = "", deep: bool = True) -> list[str]:
        """All keys that begin with ``prefix``, sorted. Links are listed; reading them complains."""
        return [*self.stamps(prefix, deep)]

    def stamps(self, prefix: str = "", deep: bool = True) -> dict[str, str]:
        """The same with stamps: size, times and number of the file, once it is older than ``_SETTLED``."""
        above = prefix.rpartition("/")[0]
        within = f"{check_key(above)}/" if above else ""
        found: dict[str, str] = {}
        settled = time.time_ns() - _SETTLED
        with self._explaining(above or "."):
            if self.root.exists() and not self.root.is_dir():
                raise NotADirectoryError(ENOTDIR, "is no folder")
            if any(folder.is_symlink() for folder in self._folders_to(above)):
                raise OSError(ELOOP, "is a symbolic link")
            root, folders = str(self.root), [within]
            while folders:
                below = folders.pop()
                with _entries(f"{root}/{below}") as entries:
                    for entry in entries:
                        if entry.is_dir():  # also a link to one
                            folders += [f"{below}{entry.name}/"] if deep and not entry.is_symlink() else []
                        elif entry.name.startswith(_TEMPORARY) or not (key := below + entry.name).startswith(prefix):
                            continue
                        else:
                            found[key] = _stamp(entry, settled)
        return {key: found[key] for key in sorted(found)}

    def read(self, key: str, limit: int) -> bytes:
        """The file's bytes. Raises MissingKey, or ExpungeError if it is a link, no file, or too large."""
        with self._opened(key) as file:
            if os.fstat(file).st_size > limit:
                raise too_large(key, limit)
            with os.fdopen(os.dup(file), "rb") as stream:
                data = stream.read(limit + 1)
        if len(data) > limit:
            raise too_large(key, limit)
        return data

    def modified(self, key: str) -> datetime:
        """The file's modification time, in UTC, to the second."""
        with self._opened(key) as file:
            seconds = int(os.fstat(file).st_mtime)
        try:
            return datetime.fromtimestamp(seconds, UTC)
        except (ValueError, OverflowError, OSError) as error:
            raise ExpungeError(f"'{key}': its time of change is none of the years 1 to 9999; touch the file") from error

    def create(self, key: str, data: bytes) -> None:
        """Write a new file; raises AlreadyExists if the key is taken, even by a broken link."""
        with self._written(key, data) as (folder, temporary, name):
            try:
                os.link(temporary, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
            except FileExistsError as error:
                raise AlreadyExists(f"'{key}' exists already") from error
            finally:
                os.unlink(temporary, dir_fd=folder)

    def replace(self, key: str, data: bytes) -> None:
        """Write the file over whatever lies there; a link is replaced, not followed."""
        with self._written(key, data) as (folder, temporary, name):
            os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)

    def delete(self, key: str) -> None:
        """Take a file or a link away; one that is not there is as good."""
        with contextlib.suppress(MissingKey), self._explaining(key), self._folder(key, make=False) as (folder, name):
            os.unlink(name, dir_fd=folder)
            os.fsync(folder)

    def _folders_to(self, key: str) -> tuple[Path, ...]:
        """The folders on the way from the root, which may itself be a link, to ``key``."""
        parts = key.split("/") if key else []
        return tuple(self.root.joinpath(*parts[: count + 1]) for count in range(len(parts)))

    @contextmanager
    def _written(self, key: str, data: bytes) -> Iterator[tuple[int, str, str]]:
        """Write a temporary file beside the key; yields the folder, the temporary name and the last name."""
        with self._explaining(key), self._folder(key, make=True) as (folder, name):
            temporary = f"{_TEMPORARY}{token_hex(8)}"
            file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644, dir_fd=folder)
            with os.fdopen(file, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            yield folder, temporary, name
            os.fsync(folder)

    @contextmanager
    def _opened(self, key: str) -> Iterator[int]:
        """A descriptor of the regular file under ``key``."""
        with self._explaining(key), self._folder(key, make=False) as (folder, name):
            # O_NONBLOCK: opening a pipe that somebody put here must not wait for a writer.
            file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
            try:
                if not stat.S_ISREG(os.fstat(file).st_mode):
                    raise ExpungeError(f"'{key}' is no regular file")
                yield file
            finally:
                os.close(file)

    @contextmanager
    def _folder(self, key: str, make: bool) -> Iterator[tuple[int, str]]:
        """The folder that holds ``key``, opened without following links, and the last name."""
        *folders, name = check_key(key).split("/")
        if make:
            self.root.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            for folder in folders:
                if make:
                    with contextlib.suppress(FileExistsError):  # the next line refuses it if it is no folder
                        os.mkdir(folder, dir_fd=descriptor)
                below = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = below
            yield descriptor, name
        finally:
            os.close(descriptor)

    @contextmanager
    def _explaining(self, key: str) -> Iterator[None]:
        """Turn what the operating system says into a line for people."""
        try:
            yield
        except FileNotFoundError as error:
            raise MissingKey(f"there is no '{key}' in {self.root}") from error
        except OSError as error:
            if os.path.islink(self.root / key):  # unlike Path.is_symlink, it puts up with names that are too long
                raise ExpungeError(f"'{key}' is a symbolic link; put the file itself there") from error
            kind = ExpungeError if error.errno in _THE_OBJECTS_OWN else StoreUnreachable
            raise kind(f"'{key}' in {self.root}: {error.strerror or error}") from error


@contextmanager
def _entries(folder: str) -> Iterator[Iterable[os.DirEntry[str]]]:
    """What lies in a folder; nothing if it is not there, or no longer."""
    try:
        entries = os.scandir(folder)
    except FileNotFoundError:
        yield ()
        return
    with entries:
        yield entries


def _stamp(entry: os.DirEntry[str], settled: int) -> str:
    try:
        file = entry.stat(follow_symlinks=False)
    except FileNotFoundError:  # taken away meanwhile, or written anew
        return ""
    if not stat.S_ISREG(file.st_mode) or max(file.st_mtime_ns, file.st_ctime_ns) > settled:
        return ""
    return f"{file.st_size} {file.st_mtime_ns} {file.st_ctime_ns} {file.st_ino}"
