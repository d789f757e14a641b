"""A substitute for an image registry: says of a manifest whether it is there, to those who may know, by a token."""

import base64
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from secrets import token_urlsafe

from tests.served import Quiet, served


@contextmanager
def registry(images: Collection[str], login: str = "", basic: bool = False) -> Iterator[str]:
    """Serve; yields ``HOST:PORT``.

    Args:
        images: as ``NAME:TAG`` or ``NAME@DIGEST``.
        login: as ``name:password``; anybody may know if empty.
        basic: whether the login itself is asked for, and not a token.
    """
    token, wanted = token_urlsafe(32), f"Basic {base64.b64encode(login.encode()).decode()}"

    class Handler(Quiet):
        def do_GET(self) -> None:
            if not self.path.startswith("/token?"):
                return self._answer(404)
            if self.headers.get("Authorization") != wanted:
                return self._answer(401)
            self._answer(200, f'{{"token": "{token}"}}')

        def do_HEAD(self) -> None:
            if login and self.headers.get("Authorization") != (wanted if basic else f"Bearer {token}"):
                bearer = f'Bearer realm="http://{there}/token",service="here",scope="repository:pull"'
                return self._answer(401, challenge='Basic realm="here"' if basic else bearer)
            name, _, reference = self.path.removeprefix("/v2/").partition("/manifests/")
            known = {f"{name}:{reference}", f"{name}@{reference}"} & set(images)
            self._answer(200 if known else 404)

        def _answer(self, status: int, content: str = "", challenge: str = "") -> None:
            self.send_response(status)
            if challenge:
                self.send_header("WWW-Authenticate", challenge)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content.encode())

    with served(Handler) as there:
        yield there
