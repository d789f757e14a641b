"""A real ZenML server on this machine alone, with a service account for pods."""

import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

from infra.serving import free_ports, start, stop, wait_until


@dataclass(frozen=True)
class ZenML:
    """A server and a key to it.

    Attributes:
        url: where it listens.
        api_key: of a service account.
        password: of the user ``default``.
    """

    url: str
    api_key: str
    password: str

    def client(self, folder: Path) -> dict[str, str]:
        """Variables of a client with its own configuration in a folder."""
        return {
            "ZENML_STORE_URL": self.url,
            "ZENML_STORE_API_KEY": self.api_key,
            "ZENML_CONFIG_PATH": str(folder / "zenml"),
            "ZENML_ANALYTICS_OPT_IN": "false",
        }


@contextmanager
def zenml_server(folder: Path) -> Iterator[ZenML]:
    """Start a server on SQLite, make a service account with a key, stop the server.

    Args:
        folder: for its database and ``log``.
    """
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    port, password = free_ports(1)[0], secrets.token_urlsafe(24)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ZENML_")} | {
        "ZENML_CONFIG_PATH": str(folder / "config"),
        "ZENML_SERVER_DEPLOYMENT_TYPE": "other",
        "ZENML_SERVER_AUTO_ACTIVATE": "1",
        "ZENML_SERVER_AUTO_CREATE_DEFAULT_USER": "1",
        "ZENML_DEFAULT_USER_PASSWORD": password,
        "ZENML_ANALYTICS_OPT_IN": "false",
    }
    served = [
        "zenml.zen_server.zen_server_api:app",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--log-level",
        "warning",
    ]
    log, url = folder / "log", f"http://127.0.0.1:{port}"
    # In its own folder: it would take a ZenML repository around it for its own.
    server = start([sys.executable, "-m", "uvicorn", *served], log, folder, environment)
    try:
        wait_until(lambda: requests.get(f"{url}/health", timeout=5).ok, (requests.RequestException,), server, log, 180)
        yield ZenML(url, _api_key(url, password), password)
    finally:
        stop(server)


def _api_key(url: str, password: str) -> str:
    login = requests.post(f"{url}/api/v1/login", data={"username": "default", "password": password}, timeout=30)
    login.raise_for_status()
    asking = {"Authorization": f"Bearer {login.json()['access_token']}"}
    account = requests.post(
        f"{url}/api/v1/service_accounts", json={"name": "runner", "active": True}, headers=asking, timeout=30
    )
    account.raise_for_status()
    keys = f"{url}/api/v1/service_accounts/{account.json()['id']}/api_keys"
    key = requests.post(keys, json={"name": "pods"}, headers=asking, timeout=30)
    key.raise_for_status()
    return key.json()["body"]["key"]
