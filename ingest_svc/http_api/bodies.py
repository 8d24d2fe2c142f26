"""What a request's body holds: one JSON object, a list of them, or JSON lines; each record stays the bytes that were sent."""

from __future__ import annotations

import msgspec

_list = msgspec.json.Decoder(list[msgspec.Raw])
_one = msgspec.json.Decoder(msgspec.Raw)


class BodyError(ValueError):
    """A body is none of the three forms."""


def records_in(body: bytes) -> list[bytes]:
    """Each record's bytes. JSON lines are told from one object by whether the whole body is one."""
    text = body.strip()
    if not text:
        raise BodyError("the body is empty: send a JSON object, a list of objects, or one object a line")
    if text[:1] == b"[":
        try:
            return [bytes(item) for item in _list.decode(text)]
        except msgspec.DecodeError as error:
            raise BodyError(f"the body starts as a JSON list but is none: {error}") from error
    try:
        return [bytes(_one.decode(text))]
    except msgspec.DecodeError:
        return [line for line in (line.strip() for line in text.split(b"\n")) if line]
