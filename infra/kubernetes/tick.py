"""What a schedule's pod runs: ``expunge retrain``, unless another pod does so now for the same inbox and model.

    python -m infra.kubernetes.tick --config /etc/expunge/config.yaml

A lease of Kubernetes says who does. It is renewed while the run goes on and expires when its holder is gone; a pod that
replaces another of the same job takes it over at once. Claims in the inbox are exclusive anyway: the lease spares the
second run its start.
"""

import argparse
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

from kubernetes import client

from expunge.cli.run_config import inbox_and_model, read_parameters
from expunge.errors import ExpungeError
from infra.kubernetes.api import SECONDS, answering, connect_from_pod

NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
DURATION = 60  # seconds without a renewal after which the holder counts as gone
RENEWALS = 4  # in that time


class Held(Exception):
    """Another holds the lease; the text says who."""


class Lease:
    """A lease of Kubernetes that one holder has at a time.

    Args:
        name: of the lease.
        holder: who asks.
    """

    def __init__(self, api: client.CoordinationV1Api, namespace: str, name: str, holder: str) -> None:
        self._api, self._where, self._name, self._holder = api, namespace, name, holder
        self._timeout = {"_request_timeout": SECONDS}

    def take(self) -> None:
        """Take it or renew it.

        Raises:
            Held: another has it, or was faster.
            ExpungeError: the cluster cannot be asked.
        """
        now = datetime.now(UTC)
        with answering("lease"):
            try:
                lease = self._api.read_namespaced_lease(self._name, self._where, **self._timeout)
            except client.ApiException as error:
                if error.status != 404:
                    raise
                lease = None
            spec = {"holderIdentity": self._holder, "leaseDurationSeconds": DURATION}
            wanted = {
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "metadata": {"name": self._name, "namespace": self._where},
                "spec": spec | {"renewTime": f"{now:%Y-%m-%dT%H:%M:%S.%fZ}"},
            }
            try:
                if lease is None:
                    self._api.create_namespaced_lease(self._where, wanted, **self._timeout)
                    return
                until = lease.spec.renew_time + timedelta(seconds=lease.spec.lease_duration_seconds)
                if lease.spec.holder_identity not in (self._holder, "") and until > now:
                    raise Held(lease.spec.holder_identity)
                # Refused if anybody wrote it meanwhile.
                wanted["metadata"]["resourceVersion"] = lease.metadata.resource_version
                self._api.replace_namespaced_lease(self._name, self._where, wanted, **self._timeout)
            except client.ApiException as error:
                if error.status != 409:
                    raise
                raise Held("another pod, which was faster") from error

    def give_back(self) -> None:
        """Let the next one have it at once."""
        with answering("lease"):
            lease = self._api.read_namespaced_lease(self._name, self._where, **self._timeout)
            if lease.spec.holder_identity == self._holder:
                lease.spec.holder_identity = ""
                self._api.replace_namespaced_lease(self._name, self._where, lease, **self._timeout)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Take it, renew it within the block, give it back. Raises as ``take`` does."""
        self.take()
        ended = threading.Event()
        renewing = threading.Thread(target=self._renew, args=(ended,), daemon=True)
        renewing.start()
        try:
            yield
        finally:
            ended.set()
            renewing.join()
            try:
                self.give_back()
            except ExpungeError as error:  # no reason to do again what is done: it expires
                print(f"Warning: {error}", flush=True)

    def _renew(self, ended: threading.Event) -> None:
        while not ended.wait(DURATION / RENEWALS):
            try:
                self.take()
            except Held as error:
                print(f"The lease was taken over by {error}; this run goes on, its claims are its own.", flush=True)
            except ExpungeError as error:  # there are more renewals than one needs
                print(f"Warning: {error}", flush=True)


def lease_name(inbox: str, model: str) -> str:
    """Of the lease for an inbox and a registered model."""
    return f"expunge-{sha256(f'{inbox} {model}'.encode()).hexdigest()[:12]}"


def tick(config: Path) -> int:
    """Run ``expunge retrain`` if nobody does so; its exit status, 0 if somebody does."""
    name = lease_name(*inbox_and_model(read_parameters(config)))
    job = socket.gethostname().rpartition("-")[0]  # a pod is called as its job, with an ending
    api = client.CoordinationV1Api(connect_from_pod())
    lease = Lease(api, NAMESPACE.read_text(encoding="utf-8").strip(), name, job)
    try:
        with lease.held():
            command = [str(Path(sys.executable).with_name("expunge")), "retrain", "--config", str(config)]
            return subprocess.run(command, check=False).returncode
    except Held as error:
        print(f"A run is at work already, started by {error}: nothing is started.", flush=True)
        return 0


def main() -> None:
    """One tick of a schedule."""
    parser = argparse.ArgumentParser(description="expunge retrain, once at a time in a cluster.")
    parser.add_argument("--config", type=Path, required=True)
    options = parser.parse_args()
    try:
        sys.exit(tick(options.config))
    except ExpungeError as error:
        sys.exit(f"Error: {error}")


if __name__ == "__main__":
    main()
