"""Writing and reading artifacts by way of a temporary folder, whatever the artifact store."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zenml.io import fileio
from zenml.materializers.base_materializer import BaseMaterializer
from zenml.utils import io_utils

from expunge.errors import ExpungeError


@contextmanager
def saved_folder(materializer: BaseMaterializer) -> Iterator[Path]:
    """A temporary folder whose content becomes the artifact when the block ends without an error."""
    with materializer.get_temporary_directory(delete_at_exit=True) as folder:
        yield Path(folder)
        io_utils.copy_dir(folder, materializer.uri)


@contextmanager
def loaded_folder(materializer: BaseMaterializer) -> Iterator[Path]:
    """A temporary folder that holds the artifact.

    Raises:
        ExpungeError: its files are gone from the artifact store, though ZenML still knows of it.
    """
    with materializer.get_temporary_directory(delete_at_exit=True) as folder:
        load_into(materializer, Path(folder))
        yield Path(folder)


def load_into(materializer: BaseMaterializer, folder: Path) -> None:
    """Copy the artifact into a folder that is there.

    Raises:
        ExpungeError: as ``loaded_folder``.
    """
    if not fileio.exists(materializer.uri):
        name = "/".join(materializer.uri.rstrip("/").split("/")[-4:])
        raise ExpungeError(
            f"artifact: the files of {name} are gone from the artifact store, but the step that made them is cached; "
            "run again with enable_cache: false."
        )
    io_utils.copy_dir(materializer.uri, str(folder), overwrite=True)
