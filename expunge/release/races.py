"""What MLflow refuses only because another process did the same in the same moment."""

from collections.abc import Callable
from typing import TypeVar

from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

Answer = TypeVar("Answer")
RACES = 5  # how often it is tried again
# Of databases, directly or through a server: a row that is there already, one that is gone.
_SIGNS = ("UNIQUE constraint", "duplicate key", "IntegrityError", "0 were matched", "StaleDataError")


def tried_again(call: Callable[[], Answer]) -> Answer:
    """Call; where another process came between reading and writing, call again, which finds what that one wrote.

    Raises:
        MlflowException, SQLAlchemyError: as the call, for another reason or too often.
    """
    for _ in range(RACES):
        try:
            return call()
        except (MlflowException, SQLAlchemyError) as error:
            if not any(sign in str(error) for sign in _SIGNS):
                raise
    return call()
