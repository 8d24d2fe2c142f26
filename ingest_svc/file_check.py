"""Checks a file on S3 before it is accepted: it exists in the named version, has the named bytes,
and a schema that fits its source.
"""

from __future__ import annotations

import hashlib
from io import BytesIO
from typing import Protocol

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from ingest_svc.ports import Objects
from ingest_svc.validation import JsonDecoder
from schemas.events import FileRef
from twinstream.errors import PermanentError, RecordError
from twinstream.files.csv_rows import header_of
from twinstream.files.json_lines import read_json_lines
from twinstream.files.limits import check_rows
from twinstream.files.parquet_rows import readable
from twinstream.mesh.object_store import split_uri

EXTENSIONS = {
    "parquet": "parquet",
    "csv": "csv",
    "json": "jsonl",
    "jsonl": "jsonl",
    "ndjson": "jsonl",
}
"""Format by file extension; also the spellings that an event may use."""
SAMPLE_BYTES = 1_000_000
SAMPLE_LINES = 100


class FileRefusedError(PermanentError, ValueError):
    """A file cannot be accepted, now or later."""


class Allowed(msgspec.Struct, frozen=True):
    """Where files may lie: URIs of prefixes by source; "*" holds for every source.
    Bytes of other objects are never read.
    """

    prefixes: dict[str, tuple[str, ...]]
    most_bytes: int

    def check(self, source: str, uri: str) -> None:
        """Raise ObjectRefusedError for what is no object, FileRefusedError for one that lies
        elsewhere.
        """
        bucket, key = split_uri(uri)
        allowed = (*self.prefixes.get(source, ()), *self.prefixes.get("*", ()))
        if not any(f"s3://{bucket}/{key}".startswith(prefix) for prefix in allowed):
            raise FileRefusedError(
                f"{uri} is not where files of {source} may lie "
                f"({', '.join(allowed) or 'nowhere'}): "
                "put it there, or allow its prefix in TWINSTREAM_INGEST_FILE_PREFIXES"
            )


def prefixes_of(text: str, raw_bucket: str) -> dict[str, tuple[str, ...]]:
    """`source=s3://bucket/prefix/;*=s3://other/` as a mapping; "" allows the whole raw bucket.
    A prefix ends with `/`.
    """
    found: dict[str, tuple[str, ...]] = {}
    for pair in (text or f"*=s3://{raw_bucket}/").split(";"):
        source, _, prefix = (part.strip() for part in pair.partition("="))
        before = found.get(source, ())
        found[source] = (*before, prefix.rstrip("/") + "/")
    return found


class FileDecoder(JsonDecoder, Protocol):
    """Knows the schema of one source."""

    def check_schema(self, schema: pa.Schema, *, text: bool = False) -> None:
        """Raise RecordError when files with this schema cannot be read; `text`:
        all columns are text.
        """


class Checked(msgspec.Struct, frozen=True):
    """A file as it may be accepted: pinned by version and digest, and its format."""

    file: FileRef
    format: str


def check_file(
    file: FileRef,
    form: str,
    decoder: FileDecoder,
    objects: Objects,
    most_bytes: int,
) -> Checked:
    """The pinned file; raises a PermanentError with what is wrong, or StorageUnavailableError when
    S3 does not answer now.
    """
    form = format_of(file.uri, form)
    head = objects.head(file.uri, file.version_id)
    _check_size(file, head.size_bytes, most_bytes)
    version = file.version_id or head.version_id
    digest, sample, lines = _read_through(objects, file.uri, version)
    _check_digest(file, digest)
    pinned = FileRef(
        uri=file.uri,
        sha256=digest,
        version_id=version,
        size_bytes=head.size_bytes,
        rows=lines if form == "jsonl" else -1,
    )
    return _checked(pinned, form, sample, decoder, objects)


def _check_size(
    file: FileRef,
    size: int,
    most_bytes: int,
) -> None:
    if size > most_bytes:
        raise FileRefusedError(
            f"{file.uri} has {size} bytes, at most {most_bytes} are taken: send it in parts"
        )


def _check_digest(file: FileRef, digest: str) -> None:
    if file.sha256 and file.sha256.lower() != digest:
        raise FileRefusedError(
            f"{file.uri}: its bytes have SHA-256 {digest}, the event says {file.sha256}: "
            "was it replaced or cut off?"
        )


def _checked(
    pinned: FileRef,
    form: str,
    sample: bytes,
    decoder: FileDecoder,
    objects: Objects,
) -> Checked:
    """By what it holds."""
    try:
        if form == "parquet":
            return Checked(_check_parquet(pinned, decoder, objects), form)
        _check_text(form, sample, decoder)
    except FileRefusedError:
        raise
    except (RecordError, PermanentError, pa.ArrowException, ValueError) as error:
        raise FileRefusedError(
            f"{pinned.uri} is not a {form} file of this source: {error}"
        ) from error
    return Checked(pinned, form)


def format_of(uri: str, form: str) -> str:
    """`parquet`, `csv` or `jsonl`, from what the event says or from the extension."""
    asked = (form or uri.rsplit("/", 1)[-1].rpartition(".")[2]).lower()
    if asked not in EXTENSIONS:
        raise FileRefusedError(
            f"{uri}: format {asked!r} is none of {', '.join(EXTENSIONS)}; "
            "name one in the event's `format`"
        )
    return EXTENSIONS[asked]


def _read_through(
    objects: Objects,
    uri: str,
    version: str,
) -> tuple[str, bytes, int]:
    """SHA-256 of all bytes, the first of them, and the count of line ends."""
    digest, sample, lines = hashlib.sha256(), b"", 0
    for chunk in objects.chunks(uri, version):
        digest.update(chunk)
        lines += chunk.count(b"\n")
        if len(sample) < SAMPLE_BYTES:
            sample += chunk[: SAMPLE_BYTES - len(sample)]
    return digest.hexdigest(), sample, lines


def _check_parquet(
    file: FileRef,
    decoder: FileDecoder,
    objects: Objects,
) -> FileRef:
    """The file with its count of rows; only its footer is read."""
    with readable(), objects.open(file.uri, file.version_id, file.size_bytes) as stream:
        parquet = pq.ParquetFile(stream)
        decoder.check_schema(parquet.schema_arrow)
        check_rows(parquet.metadata.num_rows, file.size_bytes)
        return msgspec.structs.replace(file, rows=int(parquet.metadata.num_rows))


def _check_text(
    form: str,
    sample: bytes,
    decoder: FileDecoder,
) -> None:
    if form == "csv":
        decoder.check_schema(
            pa.schema([pa.field(name, pa.string()) for name in header_of(BytesIO(sample))]),
            text=True,
        )
    else:
        _check_lines(sample, decoder)


def _check_lines(sample: bytes, decoder: FileDecoder) -> None:
    """At least one of the first lines must be a good record: bad ones are dead-lettered one by one,
    a wrong file as a whole.
    """
    whole = sample if len(sample) < SAMPLE_BYTES else sample.rpartition(b"\n")[0]
    lines = [
        line
        for part in read_json_lines(BytesIO(whole))
        for line in part.rows
        if isinstance(line, bytes)
    ][:SAMPLE_LINES]
    errors = decoder.json(lines).errors
    if lines and len(errors) == len(lines):
        raise FileRefusedError(
            f"none of the first {len(lines)} lines is a good record; "
            f"line {errors[0][0] + 1}: {errors[0][1]}"
        )
