"""Serve the champion, and load the next one when MLflow announces it: a small example of a consumer.

    python -m infra.webhook_receiver --account .expunge/services/accounts/admin.env --register     once
    python -m infra.webhook_receiver --account .expunge/services/accounts/reader.env               until interrupted

MLflow posts an event of the model registry, signed with a secret that both know. For a new ``champion`` the receiver
fetches that version's folder; ``GET /`` tells which version it has. What loads a model into a service goes where
``Served.reload`` fetches it.
"""

import argparse
import json
import logging
import os
import secrets
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from expunge.errors import ExpungeError, explained
from expunge.takedown.model_name import DEFAULT_NAME
from infra.secret_files import keep_env, read_env
from infra.serving import serve
from infra.webhook_signature import Refused, Signatures

FOLDER = Path(".expunge/webhook")
NAME, EVENT = "expunge-champion", "model_version_alias.created"
LARGEST = 64 * 1024  # bytes of a delivery; MLflow's have some hundred
PATIENCE = 10.0  # seconds that a client may keep silent
log = logging.getLogger("webhook")


class Served:
    """Which version is served. One thread fetches; events that come meanwhile make it look once more."""

    def __init__(self, model: str) -> None:
        self.model = model
        self._facts: dict[str, Any] = {"model": model, "version": None, "problem": None}
        self._wanted = threading.Event()
        threading.Thread(target=self._fetch_for_ever, daemon=True).start()

    def facts(self) -> dict[str, Any]:
        """For ``GET /``."""
        return self._facts

    def reload(self) -> None:
        """Fetch the champion soon. Returns at once."""
        self._wanted.set()

    def _fetch_for_ever(self) -> None:
        while self._wanted.wait():
            self._wanted.clear()
            try:
                self._facts = self._fetch()
            except Exception as error:  # what was served before is served on
                line = explained(error)
                if not line:
                    log.exception("cannot fetch the champion of %s", self.model)
                self._facts = self._facts | {"problem": line or type(error).__name__}
            log.info("serves version %s, problem: %s", self._facts["version"], self._facts["problem"])

    def _fetch(self) -> dict[str, Any]:
        from expunge.release.registry import Registry  # mlflow takes seconds to import

        registry = Registry(name=self.model)
        # Not the version that the event names: it may have been overtaken on the way.
        champion = registry.get("champion")
        folder = registry.folder(champion.version)
        facts = {"version": champion.version, "digest": champion.digest, "folder": str(folder), "problem": None}
        return {"model": self.model, "since": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"} | facts


@contextmanager
def receiver(model: str, secret: str, port: int = 0) -> Iterator[str]:
    """Fetch the champion, listen, yield the URL to register, stop.

    Args:
        model: the registered model.
        secret: of the webhook.
        port: to listen on, at 127.0.0.1; 0 for one that is free.

    Raises:
        RuntimeError: something else listens there.
    """
    served, signatures, lock = Served(model), Signatures(secret), threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        timeout = PATIENCE

        def do_GET(self) -> None:
            self._answer(200, served.facts())

        def do_POST(self) -> None:
            length = self.headers.get("Content-Length") or ""
            if not length.isdecimal() or int(length) > LARGEST:
                return self._answer(413, {"problem": f"a delivery has at most {LARGEST} bytes"})
            body = self.rfile.read(int(length))
            try:
                with lock:
                    signatures.check(self.headers, body, time.time())
            except Refused as error:
                log.warning("refused: %s", error)
                return self._answer(401, {"problem": str(error)})
            event = json.loads(body)
            data = event.get("data") or {}
            ours = f"{event.get('entity')}.{event.get('action')}" == EVENT and data.get("alias") == "champion"
            if ours and data.get("name") == model:
                served.reload()
            return self._answer(202, {"reload": ours and data.get("name") == model})

        def _answer(self, status: int, facts: dict[str, Any]) -> None:
            body = json.dumps(facts).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            log.info(format, *args)

    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    except OSError as error:
        raise RuntimeError(f"cannot listen at port {port}: {error.strerror}; choose another") from error
    served.reload()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def register(url: str, secret: str) -> str:
    """Have MLflow announce new champions at a URL; the same again only brings URL and secret up to date.

    The store is that of ``MLFLOW_TRACKING_URI``; on a server with login, the admin alone may do this.

    Returns:
        The webhook's id.

    Raises:
        ExpungeError: the store does not answer or does not allow it.
    """
    from expunge.release.store_errors import answering
    from expunge.release.tracking import MlflowClient, default_tracking_uri

    uri = default_tracking_uri()
    with answering(uri):
        client = MlflowClient(uri)
        for each in client.list_webhooks(max_results=100):
            if each.name == NAME:
                return client.update_webhook(each.webhook_id, url=url, secret=secret).webhook_id
        said = "Tells expunge's receiver which version is champion."
        return client.create_webhook(NAME, url, [EVENT], description=said, secret=secret).webhook_id


def main() -> None:
    """Register, or serve until interrupted."""
    parser = argparse.ArgumentParser(description="Load the champion anew when MLflow announces it.")
    parser.add_argument("--port", type=int, default=5050)
    parser.add_argument("--model", default=DEFAULT_NAME, help="the registered model")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="keeps the secret, mode 0600")
    parser.add_argument("--account", type=Path, help="a file of MLFLOW_TRACKING_… to log in by")
    parser.add_argument("--register", action="store_true", help="have MLflow announce champions here")
    options = parser.parse_args()
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO)
    try:
        os.environ.update(read_env(options.account) if options.account else {})
        secret = keep_env(options.folder / "secret.env", {"SECRET": lambda: secrets.token_urlsafe(32)})["SECRET"]
        if options.register:
            print(f"Registered webhook {register(f'http://127.0.0.1:{options.port}', secret)}")
            return
    except (RuntimeError, ExpungeError) as error:
        sys.exit(f"Error: {error}")
    serve(receiver(options.model, secret, options.port), "Champion at {url}; interrupt to stop")


if __name__ == "__main__":
    main()
