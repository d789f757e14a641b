"""A client of the cluster's API: outside by the settings' context, in a pod by its service account."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kubernetes import client, config
from kubernetes.config.config_exception import ConfigException
from urllib3.exceptions import HTTPError

from expunge.errors import ExpungeError

SECONDS = 15.0  # of silence after which the cluster counts as gone
ATTEMPTS = 3


def connect(context: str) -> client.ApiClient:
    """The client by a context of the kubeconfig, the current one if empty.

    Raises:
        ExpungeError: there is no kubeconfig, or no such context in it.
    """
    given = os.environ.get("KUBECONFIG")  # the library reads it when it is imported
    try:
        contexts, current = config.list_kube_config_contexts(given)
    except ConfigException as error:
        raise ExpungeError(
            f"cluster: no kubeconfig can be read ({' '.join(str(error).split())[:160]}); name one in KUBECONFIG."
        ) from error
    names = [each["name"] for each in contexts]
    context = context or (current or {}).get("name", "")
    if context not in names:
        raise ExpungeError(
            f"context: '{context}' is not in your kubeconfig, which has {', '.join(names)}; write one of "
            "these into the settings."
        )
    made = client.Configuration()
    config.load_kube_config(given, context, client_configuration=made)
    return _patient(made)


def connect_from_pod() -> client.ApiClient:
    """The client by a pod's own service account. Raises ExpungeError if this is no pod, or its account has no token."""
    made = client.Configuration()
    try:
        config.load_incluster_config(client_configuration=made)
    except ConfigException as error:
        raise ExpungeError(f"cluster: this is no pod with a service account's token ({error}).") from error
    return _patient(made)


def _patient(made: client.Configuration) -> client.ApiClient:
    made.retries = ATTEMPTS - 1
    return client.ApiClient(made)


@contextmanager
def answering(what: str) -> Iterator[None]:
    """What the API refuses within the block, or that it does not answer, is one line about ``what``."""
    try:
        yield
    except client.ApiException as error:
        if error.status == 401:
            raise ExpungeError(f"{what}: the cluster does not know this login any more; log in to it again.") from error
        if error.status == 403:
            raise ExpungeError(f"{what}: the cluster forbids it ({_said(error)}); ask its administrator.") from error
        if error.status == 404:
            raise ExpungeError(f"{what}: {_said(error)}; see expunge stack check --kubernetes.") from error
        raise ExpungeError(f"{what}: the cluster answered {error.status}, {_said(error)}; try again.") from error
    except (HTTPError, OSError) as error:
        raise ExpungeError(
            f"{what}: the cluster does not answer ({type(error).__name__}); is it up, at the address in the context?"
        ) from error


def _said(error: client.ApiException) -> str:
    try:
        return str(json.loads(error.body or "{}").get("message", error.reason))[:200]
    except ValueError:
        return str(error.reason)


def whole(api: client.ApiClient, answer: Any) -> Any:
    """An answer as the plain object that came, names as Kubernetes has them."""
    return api.sanitize_for_serialization(answer)
