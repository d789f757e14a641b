"""An image's registry is asked as a node asks it, and no login is shown."""

import base64
import json

import pytest

from expunge.cli.stack_checks import Missing
from infra.kubernetes.registry import full_name, login_for, look_up
from infra.serving import free_ports
from tests.clusters.registry import registry

DIGEST = "sha256:" + "0" * 64


def pull_secret(server: str, **login: str) -> dict[str, str]:
    return {".dockerconfigjson": base64.b64encode(json.dumps({"auths": {server: login}}).encode()).decode()}


def refused(image: str, login: str = "") -> str:
    with pytest.raises(Missing) as missing:
        look_up(image, login)
    assert missing.value.remedy and "hidden" not in str(missing.value) + missing.value.remedy
    return str(missing.value)


def test_what_is_there_and_what_is_not() -> None:
    with registry(["team/expunge:1.0", f"team/expunge@{DIGEST}"]) as host:
        look_up(f"{host}/team/expunge:1.0", "")
        look_up(f"{host}/team/expunge@{DIGEST}", "")
        look_up(f"{host}/team/expunge:1.0@{DIGEST}", "")
        assert refused(f"{host}/team/expunge:1.1") == f"{host} has no {host}/team/expunge:1.1"
    (port,) = free_ports(1)
    assert refused(f"127.0.0.1:{port}/expunge:1.0") == f"127.0.0.1:{port} does not answer from here"


@pytest.mark.parametrize("basic", [False, True])
def test_a_login_is_used_and_not_shown(basic: bool) -> None:
    with registry(["expunge:1.0"], "me:hidden-word", basic) as host:
        image = f"{host}/expunge:1.0"
        look_up(image, login_for(image, [pull_secret(host, username="me", password="hidden-word")]))
        encoded = base64.b64encode(b"me:hidden-word").decode()
        look_up(image, login_for(image, [pull_secret("elsewhere"), pull_secret(f"https://{host}/v1/", auth=encoded)]))
        assert refused(image) == f"{host} asks for a login, and has none for {image}"
        wrong = login_for(image, [pull_secret(host, username="me", password="hidden-other")])
        assert refused(image, wrong) == f"{host} does not take the login of the pull secret for {image}"


def test_a_pull_secret_that_is_none() -> None:
    with pytest.raises(Missing, match="holds no login that nodes can read"):
        login_for("expunge:1.0", [{".dockerconfigjson": base64.b64encode(b"{").decode()}])
    assert login_for("expunge:1.0", [{}, pull_secret("elsewhere.example", auth="x")]) == ""
    assert login_for("expunge:1.0", [pull_secret("https://index.docker.io/v1/", auth="x")]) == "x"


@pytest.mark.parametrize(
    ("image", "full"),
    [
        ("expunge:1", "docker.io/library/expunge:1"),
        ("team/expunge:1", "docker.io/team/expunge:1"),
        ("index.docker.io/team/expunge:1", "docker.io/team/expunge:1"),
        ("localhost/expunge:1", "localhost/expunge:1"),
        ("host:5000/expunge:1", "host:5000/expunge:1"),
        (f"ghcr.io/a/b@{DIGEST}", f"ghcr.io/a/b@{DIGEST}"),
    ],
)
def test_names_are_those_of_nodes(image: str, full: str) -> None:
    assert full_name(image) == full == full_name(full)
