"""Whether an image's registry gives it out, asked as a node would ask: for the manifest alone, nothing is fetched."""

import base64
import json
import re
from collections.abc import Iterable, Mapping
from urllib.error import HTTPError
from urllib.parse import urlencode, urlsplit
from urllib.request import Request, urlopen

from expunge.cli.stack_checks import Missing
from expunge.errors import ExpungeError

SECONDS = 10.0
HUB = "docker.io"
MANIFESTS = ", ".join(
    f"application/vnd.{kind}+json"
    for kind in (
        "oci.image.index.v1",
        "oci.image.manifest.v1",
        "docker.distribution.manifest.list.v2",
        "docker.distribution.manifest.v2",
    )
)
OTHERWISE = "; if nodes reach it or log in by themselves, have one pull the image once, then it is seen there"
_LOCAL = ("localhost", "127.0.0.1")


def full_name(image: str) -> str:
    """An image's name as nodes list it: with its registry, and Docker's ``library/``."""
    first, slash, rest = image.partition("/")
    if slash and (first == "localhost" or "." in first or ":" in first):
        return f"{HUB}/{rest}" if first in ("index.docker.io", "registry-1.docker.io") else image
    return f"{HUB}/{image}" if slash else f"{HUB}/library/{image}"


def login_for(image: str, secrets: Iterable[Mapping[str, str]]) -> str:
    """Name and password for the image's registry in the data of pull secrets, as HTTP wants them; empty if none."""
    registry = full_name(image).partition("/")[0]
    for data in secrets:
        try:
            logins = json.loads(base64.b64decode(data.get(".dockerconfigjson", "e30="))).get("auths", {})
        except (ValueError, AttributeError) as error:
            raise Missing(
                "the pull secret holds no login that nodes can read",
                "kubectl create secret docker-registry NAME --docker-server=… --docker-username=…",
            ) from error
        for server, login in logins.items():
            if server.rpartition("://")[2].partition("/")[0] in (registry, f"index.{registry}"):
                both = f"{login.get('username')}:{login.get('password')}"
                return str(login.get("auth") or base64.b64encode(both.encode()).decode())
    return ""


def look_up(image: str, login: str) -> None:
    """Ask for the manifest.

    Args:
        image: with tag or digest.
        login: see ``login_for``; never shown.

    Raises:
        Missing: the registry does not answer, does not have it, or wants another login.
    """
    registry, _, rest = full_name(image).partition("/")
    name, _, digest = rest.partition("@")
    name, _, tag = name.partition(":")
    host = "registry-1.docker.io" if registry == HUB else registry
    scheme = "http" if host.partition(":")[0] in _LOCAL else "https"
    request = Request(f"{scheme}://{host}/v2/{name}/manifests/{digest or tag}", headers={"Accept": MANIFESTS})
    request.method = "HEAD"
    try:
        try:
            urlopen(request, timeout=SECONDS).close()
        except HTTPError as refused:
            if refused.code != 401:
                raise
            request.add_header("Authorization", _authorised(refused.headers.get("WWW-Authenticate", ""), login, scheme))
            urlopen(request, timeout=SECONDS).close()
    except HTTPError as error:
        if error.code in (401, 403):
            said = "does not take the login of the pull secret" if login else "asks for a login, and has none"
            raise Missing(
                f"{registry} {said} for {image}", f"name a pull secret that may read it{OTHERWISE}"
            ) from error
        said = "has no" if error.code == 404 else f"answers {error.code} for"
        raise Missing(f"{registry} {said} {image}", "push it, or mend its name") from error
    except OSError as error:
        raise Missing(f"{registry} does not answer from here", f"check the image's name{OTHERWISE}") from error


def _authorised(challenge: str, login: str, scheme: str) -> str:
    """The header that a registry asks for: the login itself, or a token that it is exchanged for."""
    kind, _, rest = challenge.partition(" ")
    if kind.lower() != "bearer":
        return f"Basic {login}"
    asked = dict(re.findall(r'(\w+)="([^"]*)"', rest))
    realm = asked.pop("realm", "")
    if urlsplit(realm).scheme not in ("https", scheme):
        raise ExpungeError("image: its registry asks for the login at an address without encryption; it is not sent")
    request = Request(f"{realm}?{urlencode(asked)}")
    if login:
        request.add_header("Authorization", f"Basic {login}")
    with urlopen(request, timeout=SECONDS) as answer:
        given = json.load(answer)
    return f"Bearer {given.get('token') or given.get('access_token')}"
