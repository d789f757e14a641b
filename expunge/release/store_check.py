"""Whether a tracking store answers, lets this user in, and shows its models: asked without changing anything there."""

from urllib.error import HTTPError, URLError
from urllib.request import urlopen

# Before MLflow itself: it sets how MLflow behaves when imported.
from expunge.release.tracking import open_store  # isort: skip
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from expunge.errors import ExpungeError
from expunge.release.store_errors import answering, shown

SECONDS = 5.0


def reach(tracking_uri: str) -> str:
    """Whether something answers there, in words. Raises ExpungeError if not."""
    if tracking_uri.startswith(("http://", "https://")):
        with answering(tracking_uri):
            try:
                with urlopen(f"{tracking_uri.rstrip('/')}/health", timeout=SECONDS):
                    return f"{shown(tracking_uri)} answers"
            except HTTPError as error:
                raise ExpungeError(f"{shown(tracking_uri)} is no MLflow server: it answers {error.code}") from error
            except URLError as error:
                raise ExpungeError(f"{shown(tracking_uri)} does not answer: {error.reason}") from error
    open_store(tracking_uri)  # as every command does
    return f"{shown(tracking_uri)}, no server"


def log_in(tracking_uri: str) -> str:
    """Whether the store takes this user, in words. Raises ExpungeError if not."""
    with answering(tracking_uri):
        try:
            MlflowClient(tracking_uri).search_experiments(max_results=1)
        except MlflowException as error:
            if error.error_code == "UNAUTHENTICATED":
                raise ExpungeError(f"{shown(tracking_uri)} does not know this name and password") from error
            raise
    return "works"


def read_registry(tracking_uri: str, model: str) -> str:
    """Which versions this user may see of a registered model, in words. Raises ExpungeError if that is refused."""
    with answering(tracking_uri):
        try:
            found = MlflowClient(tracking_uri).get_registered_model(model)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return f"{model} has no version yet"
            if error.error_code == "PERMISSION_DENIED":
                raise ExpungeError(f"{shown(tracking_uri)} does not let this user read {model}") from error
            raise
    aliases = ", ".join(f"{name} {version}" for name, version in sorted(found.aliases.items()))
    return f"{model}: {aliases or 'no alias'}"
