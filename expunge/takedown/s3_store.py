"""A prefix of an S3 bucket as an object store."""

import os
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import unquote_plus, urlsplit
from xml.etree import ElementTree

from boto3.session import Session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, IncompleteReadError, ResponseStreamingError

from expunge.errors import ExpungeError
from expunge.takedown.object_store import AlreadyExists, MissingKey, StoreUnreachable, check_key, too_large

_MISSING = {"NoSuchKey", "404", "NotFound"}
CUT_OFF_WAITS = (1.0, 2.0, 4.0)  # seconds before an object whose bytes broke off is read again
_LOST_RACE = {"PreconditionFailed", "412", "ConditionalRequestConflict", "409"}


@dataclass(frozen=True)
class Whereabouts:
    """Of a bucket.

    Attributes:
        asked: the region that requests are made for.
        region: where the bucket says it lies; empty if the server does not tell, as few do but AWS.
        clock: the server's, to the second; None if it does not tell.
    """

    asked: str
    region: str
    clock: datetime | None


class S3Store:
    """Objects below ``s3://bucket/prefix``.

    Credentials, region and endpoint come from the environment and the AWS configuration files as boto3 reads them
    (``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY``, ``AWS_ENDPOINT_URL_S3`` or ``AWS_ENDPOINT_URL``), anew for each
    store. The server must honour ``If-None-Match: *``, as AWS, SeaweedFS, MinIO and Ceph do: claims rest on it.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme != "s3" or not parts.netloc or parts.query or parts.fragment:
            raise ExpungeError(f"inbox: got '{url}'; an S3 place is written s3://BUCKET/PREFIX")
        self.url = url
        self._bucket = parts.netloc
        self._prefix = f"{check_key(parts.path.strip('/'))}/" if parts.path.strip("/") else ""
        with self._explaining(""):
            self._client = _client()

    def __str__(self) -> str:
        return self.url

    def list(self, prefix: str = "", deep: bool = True) -> list[str]:
        """All keys that begin with ``prefix``, sorted; unless ``deep``, only those without a ``/`` after it."""
        return [*self.stamps(prefix, deep)]

    def stamps(self, prefix: str = "", deep: bool = True) -> dict[str, str]:
        """The same with stamps: ETag, size and time, which a listing tells anyway."""
        shallow = {} if deep else {"Delimiter": "/"}
        with self._explaining(prefix):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket,
                Prefix=self._prefix + prefix,
                EncodingType="url",  # said by us, botocore leaves the reading to us too, which here costs a tenth
                **shallow,
            )
            found = {
                _plain(item["Key"]).removeprefix(self._prefix): f"{item['ETag']} {item['Size']} {item['LastModified']}"
                for page in pages
                for item in page.get("Contents", [])
            }
        return {key: found[key] for key in sorted(found) if key and not key.endswith("/")}

    def read(self, key: str, limit: int) -> bytes:
        """The object's bytes. Raises MissingKey, or ExpungeError if it is too large, before fetching it."""
        with self._explaining(key):
            for wait in CUT_OFF_WAITS:
                try:
                    return self._read(key, limit)
                except (IncompleteReadError, ResponseStreamingError):  # the answer broke off, which botocore lets be
                    time.sleep(wait)
            return self._read(key, limit)

    def _read(self, key: str, limit: int) -> bytes:
        answer = self._client.get_object(Bucket=self._bucket, Key=self._full(key))
        with closing(answer["Body"]) as body:
            if answer["ContentLength"] > limit:
                raise too_large(key, limit)
            return body.read()

    def _holds(self, key: str, data: bytes) -> bool:
        try:
            return self._read(key, len(data)) == data
        except ExpungeError:  # it is longer
            return False

    def modified(self, key: str) -> datetime:
        """When the object was last written, in UTC, to the second."""
        with self._explaining(key):
            answer = self._client.head_object(Bucket=self._bucket, Key=self._full(key))
        return answer["LastModified"].astimezone(UTC).replace(microsecond=0)

    def create(self, key: str, data: bytes) -> None:
        """Write a new object; raises AlreadyExists if the key is taken or another writer was first."""
        with self._explaining(key):
            try:
                self._client.put_object(Bucket=self._bucket, Key=self._full(key), Body=data, IfNoneMatch="*")
            except ClientError as error:
                # The first attempt may have written it though its answer was lost: then it is there, as given.
                repeated = error.response.get("ResponseMetadata", {}).get("RetryAttempts")
                if not (repeated and _code(error) in _LOST_RACE and self._holds(key, data)):
                    raise

    def replace(self, key: str, data: bytes) -> None:
        """Write the object over whatever lies there."""
        with self._explaining(key):
            self._client.put_object(Bucket=self._bucket, Key=self._full(key), Body=data)

    def delete(self, key: str) -> None:
        """Take the object away; one that is not there is as good."""
        with self._explaining(key):
            self._client.delete_object(Bucket=self._bucket, Key=self._full(key))

    def whereabouts(self) -> Whereabouts:
        """Where the bucket lies and what time it is there, as even a refusal says: boto3 goes after a bucket in another
        region without a word, with two requests for each."""
        with self._explaining(""):
            try:
                answer = self._client.head_bucket(Bucket=self._bucket)
            except ClientError as error:
                answer = error.response
        headers = answer["ResponseMetadata"]["HTTPHeaders"]
        clock = parsedate_to_datetime(headers["date"]) if "date" in headers else None
        return Whereabouts(self._client.meta.region_name, headers.get("x-amz-bucket-region", ""), clock)

    def _full(self, key: str) -> str:
        return self._prefix + check_key(key)

    @contextmanager
    def _explaining(self, key: str) -> Iterator[None]:
        """Turn what boto3 says into a line for people."""
        try:
            yield
        except ExpungeError:
            raise
        except ClientError as error:
            code = _code(error)
            if code in _MISSING:
                raise MissingKey(f"there is no '{key}' in {self.url}") from error
            if code in _LOST_RACE:
                raise AlreadyExists(f"'{key}' exists already in {self.url}") from error
            raise StoreUnreachable(f"{self.url}: {error}") from error
        except BotoCoreError as error:
            raise StoreUnreachable(f"{self.url}: {error}; check the endpoint and the credentials") from error
        except ValueError as error:  # of the endpoint's address
            raise StoreUnreachable(f"{self.url}: {error}; write AWS_ENDPOINT_URL as http://HOST:PORT") from error


def _plain(key: str) -> str:
    return unquote_plus(key) if "%" in key or "+" in key else key


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _client() -> Any:
    """A client from a session of its own; boto3's shared one keeps the credentials that it once read."""
    session = Session()
    region = os.environ.get("AWS_REGION") or session.region_name or "us-east-1"

    def with_addresses(style: str) -> Any:
        config = Config(
            connect_timeout=5,
            read_timeout=60,
            # A command asks two times more and says what is wrong; a run is told by the environment to be patient.
            retries=None if "AWS_MAX_ATTEMPTS" in os.environ else {"mode": "standard", "max_attempts": 2},
            s3={"addressing_style": style},
            # Not all servers know the newer checksums.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        return session.client("s3", config=config, region_name=region)

    client = with_addresses("auto")
    # Servers other than AWS answer to HOST/BUCKET.
    client = client if ".amazonaws.com" in client.meta.endpoint_url else with_addresses("path")
    client.meta.events.register("before-parse.s3.ListObjectsV2", _read_listing)
    return client


def _read_listing(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: Any) -> None:
    """Read the objects in a page of a listing, as texts, and leave the rest of it to botocore.

    Botocore itself takes 0.2 ms for each, most of it for the time.
    """
    if response_dict["status_code"] != 200:  # what is no XML counts as 500 by now
        return
    page = ElementTree.fromstring(response_dict["body"])
    objects: list[ElementTree.Element] = []
    rest: list[ElementTree.Element] = []
    for node in page:
        (objects if node.tag.endswith("}Contents") else rest).append(node)
    if objects:
        page[:] = rest
        response_dict["body"] = ElementTree.tostring(page)
        customized_response_dict["Contents"] = [
            {field.tag.rpartition("}")[2]: field.text or "" for field in node} for node in objects
        ]
