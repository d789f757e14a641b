"""Writing and reading artifacts by way of a temporary folder, whatever the artifact store."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zenml.materializers.base_materializer import BaseMaterializer
from zenml.utils import io_utils


@contextmanager
def saved_folder(materializer: BaseMaterializer) -> Iterator[Path]:
    """A temporary folder whose content becomes the artifact when the block ends without an error."""
    with materializer.get_temporary_directory(delete_at_exit=True) as folder:
        yield Path(folder)
        io_utils.copy_dir(folder, materializer.uri)


@contextmanager
def loaded_folder(materializer: BaseMaterializer) -> Iterator[Path]:
    """A temporary folder that holds the artifact."""
    with materializer.get_temporary_directory(delete_at_exit=True) as folder:
        io_utils.copy_dir(materializer.uri, folder, overwrite=True)
        yield Path(folder)
