"""What a request's body holds: one JSON object, a list of them, or JSON lines;
each record stays the bytes that were sent.
"""

from __future__ import annotations

import msgspec

from twinstream.errors import UNDECODABLE
from twinstream.files.encoding import BOM
from twinstream.files.json_lines import LINE_END

_list = msgspec.json.Decoder(list[msgspec.Raw])
_one = msgspec.json.Decoder(msgspec.Raw)


MOST_RECORDS = 100_000


class BodyError(ValueError):
    """A body is none of the three forms."""


class DeepError(BodyError):
    """A body is nested deeper than can be read."""


class TooManyError(BodyError):
    """A body holds more records than are taken at a time."""


def records_in(body: bytes) -> list[bytes]:
    """Each record's bytes. JSON lines are told from one object by whether the whole body is one."""
    text = body.strip().removeprefix(BOM).strip()
    if _is_too_many(text):
        raise TooManyError(
            f"more than {MOST_RECORDS} records in one request: send them in parts; none was taken"
        )
    if not text:
        raise BodyError(
            "the body is empty: send a JSON object, a list of objects, or one object a line"
        )
    if text[:1] == b"[":
        return _counted(_of_list(text))
    try:
        return [bytes(_one.decode(text))]
    except UNDECODABLE:
        return [line for line in map(bytes.strip, LINE_END.split(text)) if line]


def _is_too_many(text: bytes) -> bool:
    """By its lines, or by its commas: it is not decoded then."""
    lines = text.count(b"\n") + text.count(b"\r") - text.count(b"\r\n")
    if lines >= MOST_RECORDS:
        return True
    return text[:1] == b"[" and text.count(b",") >= 100 * MOST_RECORDS


def _of_list(text: bytes) -> list[bytes]:
    try:
        return [bytes(item) for item in _list.decode(text)]
    except RecursionError as error:
        raise DeepError("a record of the list is nested too deep: send it alone") from error
    except UNDECODABLE as error:
        raise BodyError(f"the body starts as a JSON list but is none: {error}") from error


def _counted(records: list[bytes]) -> list[bytes]:
    if len(records) > MOST_RECORDS:
        raise TooManyError(
            f"more than {MOST_RECORDS} records in one request: send them in parts; none was taken"
        )
    return records
