"""The mesh's one way to S3: whole objects, pinned by version where the bucket keeps versions."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from boto3.exceptions import S3UploadFailedError
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, ParamValidationError

from twinstream.errors import (
    MeshError,
    ObjectExistsError,
    ObjectMissingError,
    ObjectRefusedError,
    StorageUnavailableError,
)
from twinstream.mesh.s3_client import s3_client
from twinstream.mesh.settings import MeshSettings

_MISSING = {"NoSuchKey", "NoSuchVersion", "NoSuchBucket", "404", "NotFound", "MethodNotAllowed"}
_PASSING = {
    "SlowDown",
    "ServiceUnavailable",
    "InternalError",
    "RequestTimeout",
    "Throttling",
    "ThrottlingException",
    "RequestTimeTooSkewed",
    "ConditionalRequestConflict",
}
_EXISTS = "PreconditionFailed"
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_LONGEST_KEY = 1024
_CLIENT_ERROR, _SERVER_ERROR = 400, 500


class ObjectHead(msgspec.Struct, frozen=True, kw_only=True):
    """What S3 says of an object; `version_id` is "" in a bucket without versions."""

    size_bytes: int
    version_id: str
    etag: str


class ObjectStore:
    """Reads and writes objects. Safe for threads.

    Raises ObjectMissingError, ObjectRefusedError (both permanent) or StorageUnavailableError
    (transient), each naming the object.
    """

    def __init__(self, settings: MeshSettings) -> None:
        self._client: Any = s3_client(settings)

    def put(
        self,
        bucket: str,
        key: str,
        data: bytes,
    ) -> str | None:
        """Write one object; return its version id, None in a bucket without versions."""
        with _translated(f"s3://{bucket}/{key}"):
            return _version(self._client.put_object(Bucket=bucket, Key=key, Body=data)) or None

    def create(
        self,
        bucket: str,
        key: str,
        data: bytes,
    ) -> bool:
        """Write an object that is not there yet; False when another one is, which stays as it is.

        `data` has to be the caller's own (a random word in it): a put that is sent again because
        its answer was lost finds its own bytes, and counts as done.
        """
        try:
            with _translated(f"s3://{bucket}/{key}"):
                self._client.put_object(Bucket=bucket, Key=key, Body=data, IfNoneMatch="*")
        except ObjectExistsError:
            return self.get(bucket, key) == data
        return True

    def get(
        self,
        bucket: str,
        key: str,
        version_id: str | None = None,
    ) -> bytes:
        """All bytes of one object."""
        with _translated(f"s3://{bucket}/{key}", version_id):
            return self._client.get_object(Bucket=bucket, Key=key, **_pinned(version_id))[
                "Body"
            ].read()

    def head(
        self,
        bucket: str,
        key: str,
        version_id: str | None = None,
    ) -> ObjectHead:
        """Size, version and tag of one object."""
        with _translated(f"s3://{bucket}/{key}", version_id):
            answer = self._client.head_object(Bucket=bucket, Key=key, **_pinned(version_id))
        return ObjectHead(
            size_bytes=answer["ContentLength"],
            version_id=_version(answer),
            etag=answer["ETag"].strip('"'),
        )

    def delete(self, bucket: str, key: str) -> None:
        """Remove one object (in a versioned bucket: hide it); a missing one is no error."""
        with _translated(f"s3://{bucket}/{key}"):
            self._client.delete_object(Bucket=bucket, Key=key)

    def put_uri(self, uri: str, data: bytes) -> str | None:
        """`put` to `s3://bucket/key`."""
        return self.put(*split_uri(uri), data)

    def get_uri(self, uri: str, version_id: str | None = None) -> bytes:
        """`get` of `s3://bucket/key`."""
        return self.get(*split_uri(uri), version_id)

    def chunks_uri(
        self,
        uri: str,
        version_id: str | None = None,
        chunk_bytes: int = 1 << 20,
    ) -> Iterator[bytes]:
        """All bytes of an object in order, a part at a time."""
        bucket, key = split_uri(uri)
        with _translated(uri, version_id):
            yield from self._client.get_object(Bucket=bucket, Key=key, **_pinned(version_id))[
                "Body"
            ].iter_chunks(chunk_bytes)

    def range_uri(
        self,
        uri: str,
        start: int,
        length: int,
        version_id: str | None = None,
    ) -> bytes:
        """`length` bytes of an object from `start` on."""
        bucket, key = split_uri(uri)
        span = f"bytes={start}-{start + length - 1}"
        with _translated(uri, version_id):
            return self._client.get_object(
                Bucket=bucket, Key=key, Range=span, **_pinned(version_id)
            )["Body"].read()

    def head_uri(self, uri: str, version_id: str | None = None) -> ObjectHead:
        """`head` of `s3://bucket/key`."""
        return self.head(*split_uri(uri), version_id)

    def download(
        self,
        uri: str,
        path: str | Path,
        version_id: str | None = None,
    ) -> None:
        """Stream an object into a local file, which is replaced."""
        bucket, key = split_uri(uri)
        extra = _pinned(version_id)
        with _translated(uri, version_id):
            self._client.download_file(bucket, key, str(path), ExtraArgs=extra or None)

    def upload(self, path: str | Path, uri: str) -> str | None:
        """Stream a local file to an object; return its version id, None in a bucket without
        versions.
        """
        bucket, key = split_uri(uri)
        with _translated(uri):
            self._client.upload_file(str(path), bucket, key)
        return self.head(bucket, key).version_id or None

    def ensure_bucket(self, bucket: str, *, versioned: bool) -> None:
        """Make the bucket when it is missing, and turn its versions on when wanted and off:
        where all is as wanted, reading is enough.

        Raises MeshError when that fails.
        """
        try:
            self._make(bucket)
            if (
                versioned
                and self._client.get_bucket_versioning(Bucket=bucket).get("Status") != "Enabled"
            ):
                self._client.put_bucket_versioning(
                    Bucket=bucket, VersioningConfiguration={"Status": "Enabled"}
                )
        except (BotoCoreError, ClientError) as error:
            raise MeshError(
                f"bucket {bucket} cannot be made{' with versions' if versioned else ''}: {error}"
            ) from error

    def _make(self, bucket: str) -> None:
        try:
            self._client.head_bucket(Bucket=bucket)
        except ClientError as error:
            if _code(error) not in _MISSING:
                raise
        else:
            return
        location = (
            {}
            if self._client.meta.region_name == "us-east-1"
            else {
                "CreateBucketConfiguration": {"LocationConstraint": self._client.meta.region_name}
            }
        )
        try:
            self._client.create_bucket(Bucket=bucket, **location)
        except ClientError as error:
            if _code(error) != "BucketAlreadyOwnedByYou":
                raise

    def buckets(self) -> list[str]:
        """Names of all buckets that these credentials see."""
        with _translated("the list of buckets"):
            return sorted(
                bucket["Name"] for bucket in self._client.list_buckets().get("Buckets", ())
            )

    def list(self, bucket: str, prefix: str = "") -> list[str]:
        """Keys below a prefix, in order."""
        with _translated(f"s3://{bucket}/{prefix}"):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=bucket, Prefix=prefix
            )
            return sorted(item["Key"] for page in pages for item in page.get("Contents", ()))


def ensure_buckets(settings: MeshSettings) -> None:
    """The three buckets of a mesh: raw and models keep versions;
    the warehouse does not, its paths are written once.
    """
    store = ObjectStore(settings)
    store.ensure_bucket(settings.raw_bucket, versioned=True)
    store.ensure_bucket(settings.model_bucket, versioned=True)
    store.ensure_bucket(settings.bucket, versioned=False)


def split_uri(uri: str) -> tuple[str, str]:
    """(bucket, key) of `s3://bucket/key` (also s3a://); raises ObjectRefusedError for anything
    else.
    """
    scheme, _, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme not in {"s3", "s3a"} or not bucket or not key:
        raise ObjectRefusedError(f"{uri[:200]!r} is not an S3 object: write s3://bucket/key")
    if not _BUCKET.fullmatch(bucket) or ".." in bucket:
        raise ObjectRefusedError(
            f"{uri[:200]!r}: {bucket[:80]!r} cannot name a bucket: "
            "lower-case letters, digits, dots and hyphens, 3 to 63"
        )
    if not _is_key(key):
        raise ObjectRefusedError(
            f"{uri[:200]!r}: its key is longer than {_LONGEST_KEY} bytes, "
            "has a control character, or a part that is . or .."
        )
    return bucket, key


def _is_key(key: str) -> bool:
    try:
        short = len(key.encode()) <= _LONGEST_KEY
    except UnicodeEncodeError:
        return False
    return (
        short
        and not any(ord(c) < ord(" ") or c == "\x7f" for c in key)
        and not {".", ".."} & set(key.split("/"))
    )


def sha256_of(path: str | Path) -> str:
    """Hex digest of a local file's bytes."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _pinned(version_id: str | None) -> dict[str, str]:
    return {"VersionId": version_id} if version_id else {}


def _version(answer: dict[str, Any]) -> str:
    version = answer.get("VersionId") or ""
    return "" if version == "null" else str(version)


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


@contextmanager
def _translated(uri: str, version_id: str | None = None) -> Iterator[None]:
    """Whatever botocore raises, as one of our kinds: missing, refused for good, or not answering
    now.
    """
    where = uri + (f" (version {version_id})" if version_id else "")
    try:
        yield
    except ClientError as error:
        raise _explained(error, where) from error
    except ParamValidationError as error:
        raise ObjectRefusedError(f"{where} is not a name that S3 takes: {error}") from error
    except (BotoCoreError, S3UploadFailedError, HTTPClientError, OSError) as error:
        if isinstance(error, OSError) and not isinstance(error, ConnectionError | TimeoutError):
            raise
        raise StorageUnavailableError(f"{where}: S3 does not answer: {error}") from error


def _explained(error: ClientError, where: str) -> MeshError:
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if _code(error) in _MISSING:
        return ObjectMissingError(
            f"{where} is not there: check the bucket, the key and the version"
        )
    if _code(error) == _EXISTS:
        return ObjectExistsError(f"{where} is there already")
    if _code(error) in _PASSING or not _CLIENT_ERROR <= status < _SERVER_ERROR:
        return StorageUnavailableError(f"{where}: S3 cannot answer now: {error}")
    return ObjectRefusedError(f"{where} is refused by S3: {error}")
