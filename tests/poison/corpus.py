"""What a control topic may hold besides what its readers wait for:
generated from the events' types. Pure and seeded.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any, get_args, get_origin, get_type_hints

import msgspec

from schemas import events as ev
from schemas.topics import CONTROL_TOPICS, topic_of

Fields = dict[str, Any]
Dice = random.Random
HEADER = "ce_type"
NOW_US = 1_700_000_000_000_000
NANOSECONDS = NOW_US * 1000
LONG = "x" * 300_000
DEPTH = 3_000
NOT_EVENTS = (
    b"",
    b"{",
    b"null",
    b"[]",
    b"1",
    b'"x"',
    b"NaN",
    b"\xff\xfe\x00",
    bytes(100),
    b"[" * DEPTH,
    b'{"a":' * DEPTH,
    LONG.encode(),
    b'\xef\xbb\xbf{"epoch": 1}',
)
WRONG_URIS = ("", "http://h/x", "file:///etc/passwd", "s3://a b/x", "s3://", "s3://b/../x", LONG)
WRONG_NAMES = ("", "../x", "No Name", "a\x00b", "ﬁle", LONG, "a;drop table")
ODD_VALUES: tuple[Any, ...] = (None, True, "x", -1, 1.5, [], {}, [[]], LONG, 2**63, 10**400)
LIES: dict[str, tuple[Any, ...]] = {
    "epoch": (1_000_000, 2**31 - 1),
    "uri": WRONG_URIS,
    "statistics_uri": WRONG_URIS,
    "view": ("no-such-view",),
    "model": ("no-such-model",),
    "source": ("no-such-source",),
    "rows": (0, 2**40),
    "offset": (2**60,),
    "raw_high": (2**60,),
    "partition": (99_999,),
    "origin_partition": (99_999,),
    "reason": (LONG, "\u0000", "'; --"),
    "labels": ({str(i): LONG[:1000] for i in range(200)},),
    "metrics": ({str(i): 1.0 for i in range(10_000)}, {"auc": 1e308}),
    "request": ({"flight_id": [1]}, {"flight_id": 10**400}, {"a": {"b": {}}}),
    "features": ({str(i): 1.0 for i in range(1000)},),
    "cut": ({}, {"9999": {"offset": 1, "raw_high": 1}}),
    "files": ([],),
    "columns": ([], ["x"] * 10_000),
    "name": (LONG, "<script>"),
    "kind": ("exploit",),
}
"""Values that their types and ranges allow and that cannot be true;
what is known decides, so a reader must.
"""


class Spoilt(msgspec.Struct, frozen=True):
    """One message. `certain`: by itself it is no event of its topic, so a reader must make it a
    dead letter.
    """

    value: bytes
    headers: tuple[tuple[str, bytes], ...]
    certain: bool
    how: str


def kinds_of(topic: str) -> list[type[ev.Event]]:
    """The events that a control topic carries."""
    return [kind for kind in ev.EVENT_TYPES.values() if topic_of(kind) == topic]


def event_topics() -> list[str]:
    """Every control topic that carries events; the others carry dead letters."""
    return [topic.name for topic in CONTROL_TOPICS if kinds_of(topic.name)]


def spoilt_events(topic: str, seed: int) -> Iterator[Spoilt]:
    """For ever; the same for the same seed."""
    dice, kinds = Dice(seed), kinds_of(topic)
    while True:
        yield dice.choice(WAYS)(dice.choice(kinds), dice)


def example(kind: type[Any], dice: Dice) -> Fields:
    """An event that can be true, as the fields of its JSON."""
    fields = {name: _value(name, hint, dice) for name, hint in get_type_hints(kind).items()}
    return _fitting(fields) if kind is ev.PredictionServed else fields


def _fitting(served: Fields) -> Fields:
    """An answered request whose parts fit one another."""
    rows, inputs = served["rows"], served["inputs"]
    for row in rows:
        row["features"] = [0.5] * len(inputs)
    places = {view: [0] * len(rows) for view, known in served["positions"].items() if known}
    starts = list(range(len(rows)))
    return served | {"places": places, "starts": starts}


def message(kind: type[Any], fields: Any, *, certain: bool, how: str) -> Spoilt:
    """Fields as JSON under the header of their event."""
    value = msgspec.json.encode(fields)
    return Spoilt(value, ((HEADER, kind.__name__.encode()),), certain, how)


def _not_an_event(kind: type[Any], dice: Dice) -> Spoilt:
    headers = ((HEADER, kind.__name__.encode()),)
    return Spoilt(dice.choice(NOT_EVENTS), headers, certain=True, how="not an event")


def _cut(kind: type[Any], dice: Dice) -> Spoilt:
    whole = message(kind, example(kind, dice), certain=True, how="cut")
    return msgspec.structs.replace(whole, value=whole.value[: dice.randrange(1, len(whole.value))])


def _flipped(kind: type[Any], dice: Dice) -> Spoilt:
    whole = message(kind, example(kind, dice), certain=False, how="a byte differs")
    data = bytearray(whole.value)
    data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
    return msgspec.structs.replace(whole, value=bytes(data))


def _without_a_field(kind: type[Any], dice: Dice) -> Spoilt:
    fields = example(kind, dice)
    needed = [f.name for f in msgspec.structs.fields(kind) if f.required]
    if not needed:
        return _not_an_event(kind, dice)
    del fields[dice.choice(needed)]
    return message(kind, fields, certain=True, how="a field is missing")


def _wrong_type(kind: type[Any], dice: Dice) -> Spoilt:
    """Objects in place of scalars, and scalars in place of objects."""
    fields = example(kind, dice)
    name = dice.choice(list(fields))
    fields[name] = 7.5 if isinstance(fields[name], dict | list) else {"a": [1]}
    return message(kind, fields, certain=True, how=f"{name} has another type")


def _odd_value(kind: type[Any], dice: Dice) -> Spoilt:
    fields = example(kind, dice)
    name = dice.choice(list(fields))
    value = dice.choice(ODD_VALUES)
    if isinstance(value, int) and value > 2**64:
        return _raw_value(kind, fields, name, str(value).encode())
    fields[name] = value
    return message(kind, fields, certain=False, how=f"{name} is odd")


def _raw_value(kind: type[Any], fields: Fields, name: str, text: bytes) -> Spoilt:
    """A value that no encoder writes."""
    fields[name] = "@"
    whole = message(kind, fields, certain=False, how=f"{name} is {text[:20]!r}")
    return msgspec.structs.replace(whole, value=whole.value.replace(b'"@"', text, 1))


def _wrong_time(kind: type[Any], dice: Dice) -> Spoilt:
    fields = example(kind, dice)
    times = [name for name in fields if name.endswith("_us") and isinstance(fields[name], int)]
    if not times:
        return _not_an_event(kind, dice)
    fields[dice.choice(times)] = dice.choice((NANOSECONDS, -NANOSECONDS, 2**62))
    return message(kind, fields, certain=True, how="a time of no year")


def _wrong_number(kind: type[Any], dice: Dice) -> Spoilt:
    fields = example(kind, dice)
    floats = [name for name in fields if isinstance(fields[name], float)]
    if not floats:
        return _wrong_name(kind, dice)
    text = dice.choice((b"NaN", b"Infinity", b"1e999", b"-1e999"))
    return msgspec.structs.replace(
        _raw_value(kind, fields, dice.choice(floats), text), certain=True
    )


def _wrong_name(kind: type[Any], dice: Dice) -> Spoilt:
    fields = example(kind, dice)
    names = [name for name in ("view", "source", "model") if name in fields]
    if not names:
        return _cut(kind, dice)
    fields[dice.choice(names)] = dice.choice(WRONG_NAMES)
    return message(kind, fields, certain=True, how="a name that none has")


def _lie(kind: type[Any], dice: Dice) -> Spoilt:
    fields = example(kind, dice)
    names = [name for name in fields if name in LIES]
    if not names:
        return _odd_value(kind, dice)
    name = dice.choice(names)
    fields[name] = dice.choice(LIES[name])
    if isinstance(fields[name], dict) and 10**400 in fields[name].values():
        return _raw_value(kind, fields, name, b'{"flight_id":' + b"9" * 400 + b"}")
    return message(kind, fields, certain=False, how=f"{name} lies")


def _elsewhere(kind: type[Any], dice: Dice) -> Spoilt:
    """A true event of another topic."""
    others = [k for k in ev.EVENT_TYPES.values() if topic_of(k) != topic_of(kind)]
    other = dice.choice(others)
    return message(other, example(other, dice), certain=True, how="of another topic")


def _wrong_header(kind: type[Any], dice: Dice) -> Spoilt:
    name = kind.__name__.encode()
    wrong = (b"", b"\xff\xfe", name + b"2", name.lower(), LONG.encode(), b"Event", b"__class__")
    headers: tuple[tuple[tuple[str, bytes], ...], ...] = (
        (),
        *(((HEADER, w),) for w in wrong),
        (("CE_TYPE", name),),
        tuple((f"h{i}", b"") for i in range(500)),
    )
    value = msgspec.json.encode(example(kind, dice))
    return Spoilt(value, dice.choice(headers), certain=True, how="another header")


def _more_fields(kind: type[Any], dice: Dice) -> Spoilt:
    """As a later version writes it, or somebody who hopes that it is stored."""
    fields = example(kind, dice) | {"later": LONG, "__class__": "os.system", "specversion": "9"}
    return message(kind, fields, certain=False, how="more fields")


WAYS: tuple[Callable[[type[Any], Dice], Spoilt], ...] = (
    _not_an_event,
    _cut,
    _flipped,
    _without_a_field,
    _wrong_type,
    _odd_value,
    _wrong_time,
    _wrong_number,
    _wrong_name,
    _lie,
    _elsewhere,
    _wrong_header,
    _more_fields,
)


def _value(name: str, hint: Any, dice: Dice) -> Any:
    """A value of a field that can be true."""
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return example(hint, dice)
    arguments = get_args(hint)
    if type(None) in arguments:
        return None
    if get_origin(hint) is list:
        return [_value(name[:-1], arguments[0], dice) for _ in range(dice.randint(0, 2))]
    if get_origin(hint) is dict:
        key = "0" if arguments[0] is int else "a"
        return {key: _value("value", arguments[1], dice)}
    return _scalar(name, hint, dice)


def _scalar(name: str, hint: Any, dice: Dice) -> Any:
    if hint is bool:
        return dice.random() < 0.5
    if hint is int:
        return NOW_US + dice.randrange(10**12) if name.endswith("_us") else dice.randint(1, 3)
    if hint is float:
        return round(dice.random(), 3)
    texts = {
        "uri": "s3://bucket/a/b",
        "statistics_uri": "s3://bucket/a/s.json",
        "sha256": "ab" * 32,
    }
    return texts.get(name, dice.choice(("orders", "late-arrival", "a"))) if hint is str else 1
