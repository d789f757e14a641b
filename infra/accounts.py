"""Who may use a tracking server with login: ``admin``, ``runner`` and ``reader``, each with a file to log in by.

The runner's is for ``expunge retrain`` and the pipelines, the reader's for those who only look. The files hold address,
name and password as ``MLFLOW_TRACKING_*``, which MLflow reads from the environment.
"""

import secrets
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import requests
from cryptography.fernet import Fernet

from expunge.takedown.model_name import DEFAULT_NAME
from infra.secret_files import keep_env

ADMIN, RUNNER, READER = "admin", "runner", "reader"
EXPERIMENT = "expunge"  # as in expunge.release.tracking, which takes seconds to import
API = "api/2.0/mlflow"


def account_file(folder: Path, name: str) -> Path:
    """Where an account's file lies."""
    return folder / f"{name}.env"


def keep_account(folder: Path, name: str, url: str) -> tuple[str, str]:
    """Make an account's file or bring its address up to date. Returns name and password."""
    values = {
        "MLFLOW_TRACKING_URI": url,
        "MLFLOW_TRACKING_USERNAME": name,
        "MLFLOW_TRACKING_PASSWORD": lambda: secrets.token_urlsafe(32),
    }
    return name, keep_env(account_file(folder, name), values)["MLFLOW_TRACKING_PASSWORD"]


def login_settings(folder: Path, database: str, url: str) -> dict[str, str]:
    """What a server with login is started with, in its environment. Everybody with an account may read everything.

    Args:
        folder: where accounts, keys and the settings lie.
        database: keeps the accounts.
        url: the server's address.
    """
    _, password = keep_account(folder, ADMIN, url)
    settings = ConfigParser(interpolation=None)
    settings["mlflow"] = {
        "default_permission": "READ",
        "database_uri": database.replace("%", "%%"),  # MLflow interpolates
        "admin_username": ADMIN,
    }
    with (folder / "login.ini").open("w", encoding="utf-8") as file:
        settings.write(file)
    # Kept, or sessions and webhooks would end with the server.
    keys = keep_env(
        folder / "keys.env",
        {
            "MLFLOW_FLASK_SERVER_SECRET_KEY": lambda: secrets.token_urlsafe(32),
            "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY": lambda: Fernet.generate_key().decode(),
        },
    )
    return keys | {
        "MLFLOW_AUTH_CONFIG_PATH": str((folder / "login.ini").resolve()),
        "MLFLOW_AUTH_ADMIN_PASSWORD": password,
        # Webhooks to this machine; nobody but the admin can register one.
        "MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http,https",
        "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true",
    }


def make_accounts(folder: Path, url: str) -> None:
    """Make runner and reader on a running server, or give them the passwords that stand in their files.

    The runner may do everything with Expunge's experiment and its model, which are made too.

    Raises:
        RuntimeError: the server does not take the admin's password.
    """
    admin = keep_account(folder, ADMIN, url)

    def ask(method: str, path: str, **content: Any) -> requests.Response:
        return requests.request(method, f"{url}/{path}", auth=admin, timeout=30, **content)

    for name in (RUNNER, READER):
        given = dict(zip(("username", "password"), keep_account(folder, name, url), strict=True))
        known = ask("GET", f"{API}/users/get", params={"username": name})
        if known.status_code == 401:
            raise RuntimeError(f"the server does not know the password in {account_file(folder, ADMIN)}: put it back")
        if known.status_code == 404:
            made = ask("POST", f"{API}/users/create", json=given)
        else:
            made = ask("PATCH", f"{API}/users/update-password", json=given)
        made.raise_for_status()
    # They belong to whoever makes them, and every command makes the experiment if it is not there: a reader that came
    # first would shut the runner out. And to ask for a model that is not there is forbidden to all but the admin.
    _unless_there(ask("POST", f"{API}/experiments/create", json={"name": EXPERIMENT}))
    _unless_there(ask("POST", f"{API}/registered-models/create", json={"name": DEFAULT_NAME}))
    found = ask("GET", f"{API}/experiments/get-by-name", params={"experiment_name": EXPERIMENT})
    number = found.json()["experiment"]["experiment_id"]
    for kind, key in (("experiment", number), ("registered_model", DEFAULT_NAME)):
        allowed = {"resource_type": kind, "resource_id": key, "username": RUNNER, "permission": "MANAGE"}
        _unless_there(ask("POST", "api/3.0/mlflow/users/permissions/grant", json=allowed))


def _unless_there(answer: requests.Response) -> None:
    """Raise for an error other than that what was to be made is there."""
    if "RESOURCE_ALREADY_EXISTS" not in answer.text:
        answer.raise_for_status()
