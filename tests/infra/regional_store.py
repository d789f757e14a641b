"""A substitute for AWS before a real S3 server: a bucket in one region, which says so, and a clock of its own.

It answers as AWS does to requests that are signed for another region, and hands all others on, bytes unchanged.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.client import HTTPConnection
from urllib.parse import urlsplit

from tests.served import Quiet, served

SCOPE = re.compile(r"Credential=[^/]+/\d{8}/([\w-]+)/s3/aws4_request")
TOO_SKEWED = timedelta(minutes=15)
LEFT_OUT = ("date", "server", "transfer-encoding", "connection")  # which this server says for itself


@contextmanager
def regional_store(endpoint: str, region: str, refusal: int = 400, skew: timedelta = timedelta()) -> Iterator[str]:
    """Serve; yields the URL.

    Args:
        endpoint: of the server behind it.
        region: where its buckets lie.
        refusal: of what is signed for another one: 400 (AuthorizationHeaderMalformed) or 301 (PermanentRedirect).
        skew: what its clock is ahead by; from a quarter of an hour on it refuses all.
    """

    class Handler(Quiet):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            scope = SCOPE.search(self.headers.get("Authorization", ""))
            if abs(skew) > TOO_SKEWED:
                self._refuse(403, "RequestTimeTooSkewed")
            elif scope is None or scope[1] != region:
                self._refuse(refusal, "PermanentRedirect" if refusal == 301 else "AuthorizationHeaderMalformed")
            else:
                behind = HTTPConnection(urlsplit(endpoint).netloc)
                behind.request(self.command, self.path, body, dict(self.headers))
                answer = behind.getresponse()
                kept = {key: value for key, value in answer.getheaders() if key.lower() not in LEFT_OUT}
                self._answer(answer.status, answer.read(), kept)

        do_GET = do_HEAD = do_PUT = do_DELETE = _serve

        def _refuse(self, status: int, code: str) -> None:
            said = f"<Error><Code>{code}</Code><Message>no</Message><Region>{region}</Region></Error>"
            self._answer(status, said.encode(), {"Content-Type": "application/xml"})

        def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for key, value in (headers | {"x-amz-bucket-region": region}).items():
                self.send_header(key, value)
            if not any(key.lower() == "content-length" for key in headers):
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(b"" if self.command == "HEAD" else body)

        def date_time_string(self, timestamp: float | None = None) -> str:
            return format_datetime(datetime.now(UTC) + skew, usegmt=True)

    with served(Handler) as there:
        yield f"http://{there}"
