"""MLflow's tables made once and copied, which does not change what is tested: what is copied is MLflow's own work."""

import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from functools import wraps
from pathlib import Path
from typing import Any

import pytest


def hurry(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """In this process and in those forked from it, if MLflow has been imported by now.

    Args:
        patch: takes it back.
        folder: for the file that is copied.
    """
    if "mlflow" in sys.modules:
        from mlflow.store.db import utils

        patch.setattr(utils, "_initialize_tables", _made_once(utils._initialize_tables, folder / "mlflow.db"))


def _made_once(make: Callable[[Any], None], file: Path) -> Callable[[Any], None]:
    """As ``make``, which turns an empty database into one with tables in some sixty migrations."""

    @wraps(make)
    def made(engine: Any) -> None:
        if engine.dialect.name != "sqlite" or (file.exists() and _tables(engine)):
            make(engine)
            return
        if not file.exists():
            make(engine)
            with engine.connect() as connection, closing(sqlite3.connect(file.with_suffix(".part"))) as copy:
                connection.connection.backup(copy)
            file.with_suffix(".part").rename(file)
            return
        with closing(sqlite3.connect(file)) as copy, engine.connect() as connection:
            copy.backup(connection.connection.dbapi_connection)

    return made


def _tables(engine: Any) -> list[str]:
    from sqlalchemy import inspect

    return inspect(engine).get_table_names()
