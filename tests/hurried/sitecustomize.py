"""SQLite without waiting for the disk: a file is less safe against a power cut, which no test brings about.

Python imports a module of this name by itself: processes that tests start do so with this folder on ``PYTHONPATH``.
"""

import sqlite3
from contextlib import suppress
from typing import Any

_connect = sqlite3.dbapi2.connect


def connect(*given: Any, **named: Any) -> sqlite3.Connection:
    """As ``sqlite3.connect``."""
    connection = _connect(*given, **named)
    with suppress(sqlite3.Error):  # a damaged or locked file is for the test to meet
        connection.execute("PRAGMA synchronous = OFF")
    return connection


sqlite3.connect = sqlite3.dbapi2.connect = connect
