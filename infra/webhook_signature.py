"""Whether a delivery is MLflow's own: its signature, its time, and that it comes once."""

import base64
import hashlib
import hmac
from collections.abc import Mapping

SIGNATURE, TIMESTAMP, DELIVERY = "X-MLflow-Signature", "X-MLflow-Timestamp", "X-MLflow-Delivery-Id"
TOLERANCE = 300  # seconds between the two clocks, as Standard Webhooks has it


class Refused(Exception):
    """A delivery that is not taken; the text says why."""


class Signatures:
    """Checks deliveries.

    Args:
        secret: what webhook and receiver share.
    """

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()
        self._seen: dict[str, float] = {}

    def check(self, headers: Mapping[str, str], body: bytes, now: float) -> None:
        """Take a delivery, once.

        Args:
            headers: of the request.
            body: its bytes as they came.
            now: seconds since 1970.

        Raises:
            Refused: it is not signed with the secret, is older or newer than five minutes, or came before.
        """
        delivery, sent, given = (headers.get(name) or "" for name in (DELIVERY, TIMESTAMP, SIGNATURE))
        signed = f"{delivery}.{sent}.".encode() + body
        expected = "v1," + base64.b64encode(hmac.new(self._secret, signed, hashlib.sha256).digest()).decode()
        if not hmac.compare_digest(given.encode(), expected.encode()):
            raise Refused("the signature is not that of the secret")
        if not (sent.isdecimal() and abs(now - int(sent)) <= TOLERANCE):
            raise Refused("it is not of these five minutes")
        self._seen = {each: until for each, until in self._seen.items() if until > now}
        if delivery in self._seen:
            raise Refused("it came before")
        self._seen[delivery] = int(sent) + 2 * TOLERANCE
