"""What a receiver takes and refuses; and a real MLflow that announces a champion to it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from mlflow.webhooks.delivery import _generate_hmac_signature

from expunge.release.registry import Evidence, Registry
from infra.secret_files import read_env
from infra.serving import free_ports
from infra.webhook_receiver import LARGEST, receiver
from infra.webhook_signature import DELIVERY, SIGNATURE, TIMESTAMP, Refused, Signatures
from tests.infra.conftest import Guarded

ROOT = Path(__file__).parents[2]
NOW = 1_800_000_000
BODY = b'{"entity": "model_version_alias", "action": "created", "data": {"name": "zoo", "alias": "champion"}}'


def signed(body: bytes = BODY, at: float = NOW, delivery: str = "one", secret: str = "ours") -> dict[str, str]:
    """Headers as MLflow itself makes them."""
    signature = _generate_hmac_signature(secret, delivery, str(int(at)), body.decode())
    return {DELIVERY: delivery, TIMESTAMP: str(int(at)), SIGNATURE: signature}


def test_what_mlflow_signed_is_taken_once() -> None:
    signatures = Signatures("ours")
    signatures.check(signed(), BODY, NOW + 1)
    signatures.check(signed(delivery="two"), BODY, NOW + 1)
    for later in (2, 299):
        with pytest.raises(Refused, match="came before"):
            signatures.check(signed(), BODY, NOW + later)
    with pytest.raises(Refused, match="five minutes"):
        signatures.check(signed(), BODY, NOW + 301)


def test_what_was_changed_in_any_byte_is_refused() -> None:
    for at in range(len(BODY)):
        changed = BODY[:at] + bytes([BODY[at] ^ 1]) + BODY[at + 1 :]
        with pytest.raises(Refused, match="signature"):
            Signatures("ours").check(signed(), changed, NOW)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        signed(secret="theirs"),
        signed() | {DELIVERY: "other"},
        signed() | {TIMESTAMP: str(NOW + 1)},
        signed() | {SIGNATURE: ""},
        signed() | {SIGNATURE: "v1,ä"},
        {name: value for name, value in signed().items() if name != DELIVERY},
        signed(at=NOW - 301),
        signed(at=NOW + 301),
    ],
)
def test_what_is_not_signed_so_or_not_now_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(Refused):
        Signatures("ours").check(headers, BODY, NOW)


def wait_for(port: int, condition: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    """What the receiver tells, as soon as it is so."""
    until = time.monotonic() + 60
    while not condition(facts := requests.get(f"http://127.0.0.1:{port}", timeout=30).json()):
        assert time.monotonic() < until, facts
        time.sleep(0.2)
    return facts


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A receiver of ``zoo`` with a store in which there is nothing yet."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    with receiver("zoo", "ours") as url:
        yield url


def test_the_receiver_answers_what_it_did(url: str) -> None:
    now = time.time()
    other = BODY.replace(b"champion", b"challenger")
    for body, headers, status, reload in (
        (BODY, signed(BODY, now), 202, True),
        (BODY, signed(BODY, now), 401, None),
        (other, signed(other, now, "2"), 202, False),
        (BODY.replace(b"zoo", b"ark"), signed(BODY.replace(b"zoo", b"ark"), now, "3"), 202, False),
        (BODY, {}, 401, None),
        (b"x" * (LARGEST + 1), {}, 413, None),
    ):
        answer = requests.post(url, body, headers=headers, timeout=30)
        assert (answer.status_code, answer.json().get("reload")) == (status, reload)
    facts = wait_for(int(url.rpartition(":")[2]), lambda facts: facts["problem"])
    assert facts["version"] is None and "has no version 'champion'" in facts["problem"]


def command(guarded: Guarded, account: str, folder: Path, port: int, *words: str) -> list[str]:
    options = ["--account", str(guarded.account(account)), "--folder", str(folder / "webhook"), "--port", str(port)]
    return [sys.executable, "-m", "infra.webhook_receiver", *options, *words]


def promote(folder: Path, digest: str) -> None:
    registry = Registry()
    version = registry.register(folder, digest, Evidence("test")).version
    registry._client.set_registered_model_alias(registry.name, "champion", str(version))


@pytest.mark.slow
def test_mlflow_announces_a_champion_and_it_is_served(
    guarded: Guarded, tmp_path: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    (port,) = free_ports(1)
    refused = subprocess.run(
        command(guarded, "reader", tmp_path, port, "--register"), env=environment, capture_output=True, text=True
    )
    assert refused.returncode == 1 and refused.stderr.startswith("Error: tracking store http://127.0.0.1")
    assert "Traceback" not in refused.stderr and "have the admin allow it" in refused.stderr
    ids = set()
    for _ in range(2):
        done = subprocess.run(
            command(guarded, "admin", tmp_path, port, "--register"), env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        ids.add(done.stdout)
    assert len(ids) == 1 and (tmp_path / "webhook/secret.env").stat().st_mode & 0o777 == 0o600
    process = subprocess.Popen(
        command(guarded, "reader", tmp_path, port),
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None and f"Champion at http://127.0.0.1:{port}" in process.stdout.readline()
        assert "has no version 'champion'" in wait_for(port, lambda facts: facts["problem"])["problem"]
        monkeypatch.chdir(tmp_path)
        for name, value in read_env(guarded.account("runner")).items():
            monkeypatch.setenv(name, value)
        for number, digest in enumerate(("a" * 64, "b" * 64), 1):
            promote(tiny_folder, digest)
            facts = wait_for(port, lambda facts, number=number: facts["version"] == number)
            assert facts["digest"] == digest and facts["problem"] is None
            assert (Path(facts["folder"]) / "model_index.json").is_file()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
    assert process.stderr is not None
    said = process.stderr.read()
    secret = (tmp_path / "webhook/secret.env").read_text().strip().partition("=")[2]
    assert "serves version 2" in said and secret not in said
    assert json.dumps(secret) not in (guarded.folder / "tracking-server/log").read_text()
