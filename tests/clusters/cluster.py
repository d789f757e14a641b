"""An honest substitute for a Kubernetes cluster: a server that speaks the part of its API that ZenML and Expunge use,
and runs each job's command as processes.

What it does: stores objects; refuses each that the strict schema of a chosen version of Kubernetes refuses; asks for a
bearer token; lets a write with an old resource version fail; runs pods' containers with their environment (secrets by
reference), volumes, host name, service account and read-only root; holds jobs to backoff limit, failure policy and
deadline; fires cron jobs when a test says what time it is, by zone, concurrency policy and history limits; kills and
evicts pods, loses nodes, forgets images, and answers with errors or not at all, on demand.

What it does not check: whether an account may do what it does (RBAC), admission (Pod Security, quotas, defaults),
scheduling beyond node selectors (no resources, taints or affinity), images (a name it was told, whose files are this
machine's), the states of init containers (their failure to start is told of the main one), user ids, CPU and memory
limits, networks, watches, and the time between a job's attempts.
"""

import json
import re
import ssl
import threading
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from secrets import token_urlsafe
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

from tests.clusters.authority import make_authority
from tests.clusters.controllers import Controllers
from tests.clusters.objects import KINDS, Object, Objects, Refusal, now
from tests.clusters.pods import Host, Image

PATH = re.compile(r"/api(?:s/[\w.]+)?/v1(?:/namespaces/([\w-]+))?/(\w+)(?:/([\w.-]+))?(?:/(log|status))?")
CONTEXT = "substitute"


class _Tokens(dict[str, str]):
    """Of service accounts, each made when it is asked for."""

    def __missing__(self, account: str) -> str:
        self[account] = token_urlsafe(32)
        return self[account]


class Cluster:
    """A running substitute; see ``cluster``.

    Attributes:
        objects: what it stores, and in ``written`` all that clients sent.
        controllers: which kill, evict and tick.
        images: what can be pulled, by name.
        kubeconfig: the file by which clients find it.
        skew: what its clock, in the ``Date`` of answers, is ahead by.
        failures: statuses that the next requests are answered with; each is used once.
        failing: a status that every request is answered with; 0 for none.
        answers: while it is not set, requests stay without an answer, and are lost.
        requests: method and path of all requests.
    """

    def __init__(self, folder: Path, version: str, images: Mapping[str, Image]) -> None:
        self.folder = folder
        self.objects = Objects(version)
        self.skew = timedelta()
        self.failures: list[int] = []
        self.failing = 0
        self.answers = threading.Event()
        self.answers.set()
        self.images = dict(images)
        self.requests: list[str] = []
        self.tokens = _Tokens(admin=token_urlsafe(32))
        certificate = make_authority(folder)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.kubeconfig = folder / "kubeconfig"
        api, authority = f"127.0.0.1:{self._server.server_port}", _public(certificate)
        host = Host(folder / "pods", self.images, api, self.tokens, authority)
        self.controllers = Controllers(self.objects, host)
        self._write_kubeconfig(certificate)

    def start(self) -> None:
        """Answer, and look after jobs."""
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.controllers.start()

    def stop(self) -> None:
        """End every pod and close the door."""
        self.controllers.stop()
        self._server.shutdown()
        self._server.server_close()

    def add_node(self, name: str, gpus: int = 0, images: Sequence[str] = (), **labels: str) -> None:
        """A node that pods can be placed on; ``images`` it has pulled before."""
        self.objects.create("nodes", "", {"metadata": {"name": name, "labels": labels}})
        room = {"cpu": "8", "memory": "32Gi"} | ({"nvidia.com/gpu": str(gpus)} if gpus else {})
        with self.objects.changing("nodes", "", name) as node:
            node["status"] = {"allocatable": room, "conditions": [{"type": "Ready", "status": "True"}]}
            node["status"]["images"] = [{"names": [each]} for each in images]

    def add_namespace(self, name: str, *accounts: str) -> None:
        """A namespace with service accounts."""
        self.objects.create("namespaces", "", {"metadata": {"name": name}})
        for account in ("default", *accounts):
            self.objects.create("serviceaccounts", name, {"metadata": {"name": account}})

    def add_secret(self, namespace: str, name: str, **values: str) -> None:
        """A secret, as an administrator makes it."""
        data = {key: b64encode(value.encode()).decode() for key, value in values.items()}
        self.objects.create("secrets", namespace, {"metadata": {"name": name}, "data": data})

    def logs(self) -> dict[str, str]:
        """What the pods said, by pod."""
        return {each.parent.name: each.read_text(errors="replace") for each in self.folder.glob("pods/*/log")}

    def expire_tokens(self) -> None:
        """No token of a service account is taken any more; pods that start from now on get new ones."""
        for name in [name for name in self.tokens if name != "admin"]:
            self.tokens[name] = token_urlsafe(32)

    def _write_kubeconfig(self, certificate: Path) -> None:
        port = self._server.server_port
        self.kubeconfig.write_text(
            yaml.safe_dump(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": CONTEXT,
                    "clusters": [
                        {
                            "name": CONTEXT,
                            "cluster": {
                                "server": f"https://127.0.0.1:{port}",
                                "certificate-authority": str(certificate),
                            },
                        }
                    ],
                    "users": [{"name": "admin", "user": {"token": self.tokens["admin"]}}],
                    "contexts": [{"name": CONTEXT, "context": {"cluster": CONTEXT, "user": "admin"}}],
                }
            )
        )
        self.kubeconfig.chmod(0o600)


@contextmanager
def cluster(folder: Path, images: Mapping[str, Image], version: str = "1.34") -> Iterator[Cluster]:
    """Start a substitute, stop it with every process in it.

    Args:
        folder: for its kubeconfig, and what pods say.
        images: what can be pulled, by name.
        version: of Kubernetes.
    """
    made = Cluster(folder, version, images)
    made.start()
    try:
        yield made
    finally:
        made.stop()
        if made.controllers.problem:
            raise made.controllers.problem


def _version(version: str) -> Object:
    major, minor = version.split(".")
    about = {"gitVersion": f"v{version}.0", "gitCommit": "", "gitTreeState": "clean", "goVersion": "", "compiler": ""}
    return about | {"major": major, "minor": minor, "buildDate": now(), "platform": "substitute"}


def _public(certificate: Path) -> bytes:
    return b"-----BEGIN CERTIFICATE" + certificate.read_bytes().partition(b"-----BEGIN CERTIFICATE")[2]


def _handler(served: Cluster) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._serve(self._read)

        def do_POST(self) -> None:
            self._serve(lambda plural, namespace, name, part, body: served.objects.create(plural, namespace, body))

        def do_PUT(self) -> None:
            self._serve(
                lambda plural, namespace, name, part, body: served.objects.replace(plural, namespace, name, body)
            )

        def do_PATCH(self) -> None:
            self._serve(
                lambda plural, namespace, name, part, body: served.objects.replace(plural, namespace, name, body, True)
            )

        def do_DELETE(self) -> None:
            query = parse_qs(urlsplit(self.path).query)

            def delete(plural: str, namespace: str, name: str, part: None, body: Object | None) -> Object:
                orphan = "Orphan" in [(body or {}).get("propagationPolicy"), *query.get("propagationPolicy", [])]
                return served.objects.delete(plural, namespace, name, orphan)

            self._serve(delete)

        def date_time_string(self, timestamp: float | None = None) -> str:
            return format_datetime(datetime.now(UTC) + served.skew, usegmt=True)

        def _serve(self, answer: Any) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length) or b"null")
            url = urlsplit(self.path)
            served.requests.append(f"{self.command} {url.path}")
            if not served.answers.is_set():
                served.answers.wait()
                self.close_connection = True
                return None
            try:
                if failing := served.failures.pop(0) if served.failures else served.failing:
                    raise Refusal(failing, "InternalError", "etcdserver: request timed out")
                if url.path.rstrip("/") == "/version":
                    return self._answer(200, _version(served.objects.version))
                if self.headers.get("Authorization", "").partition(" ")[2] not in served.tokens.values():
                    raise Refusal(401, "Unauthorized", "Unauthorized")
                path = PATH.fullmatch(url.path)
                plural = path[2] if path else ""
                # A namespace itself: "/api/v1/namespaces/NAME" reads as a namespace without a kind.
                if url.path.startswith("/api/v1/namespaces/") and url.path.count("/") == 4:
                    return self._answer(200, answer("namespaces", "", url.path.rpartition("/")[2], None, body))
                if plural not in KINDS or path is None:
                    raise Refusal(404, "NotFound", f"the substitute knows no {url.path}")
                found = answer(plural, path[1] or "", path[3], path[4], body)
                self._answer(201 if self.command == "POST" else 200, found)
            except Refusal as error:
                status = {"apiVersion": "v1", "kind": "Status", "status": "Failure", "code": error.status}
                self._answer(error.status, status | {"reason": error.reason, "message": str(error)})

        def _read(self, plural: str, namespace: str, name: str | None, part: str | None, body: None) -> Object | str:
            if part == "log":
                log = served.folder / "pods" / str(name) / "log"
                return log.read_text(errors="replace") if log.exists() else ""
            if name:
                return served.objects.get(plural, namespace, name)
            query = {key: values[0] for key, values in parse_qs(urlsplit(self.path).query).items()}
            api_version, kind, _ = KINDS[plural]
            items = served.objects.all(plural, namespace, _selector(query))
            return {"apiVersion": api_version, "kind": f"{kind}List", "metadata": {}, "items": items}

        def _answer(self, status: int, content: Object | str) -> None:
            data = content.encode() if isinstance(content, str) else json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/plain" if isinstance(content, str) else "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            """Requests are kept in ``Cluster.requests``."""

    return Handler


def _selector(query: dict[str, str]) -> Any:
    labels = [each.split("=", 1) for each in query.get("labelSelector", "").replace("==", "=").split(",") if each]
    fields = [each.split("=", 1) for each in query.get("fieldSelector", "").replace("==", "=").split(",") if each]

    def fits(each: Object) -> bool:
        found = each["metadata"].get("labels", {})
        known = {"status.phase": each.get("status", {}).get("phase"), "metadata.name": each["metadata"]["name"]}
        return all(found.get(key) == value for key, value in labels) and all(known[key] == to for key, to in fields)

    return fits
