"""A source: a named stream of records with a schema, an id, a key and an event time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from twinstream.define.cleaning import Rule, bind_rules
from twinstream.define.durations import microseconds
from twinstream.define.field_types import TYPES
from twinstream.define.fields import Timestamp
from twinstream.define.fields.base import FieldType
from twinstream.define.key_length import check_key
from twinstream.define.location import did_you_mean, here, refuse, shown
from twinstream.define.names import check_column, check_thing
from twinstream.define.plain import listed


class Source:
    """Declares a source.

    `id`: field or fields whose values name a record once and for all. `key`: field by whose value
    live records are spread over partitions. `event_time`: when it happened; `known_at`: when it
    became known, for files (default: the event time). `clean`: rules by field. `dedupe`: for how
    long a second live record with the same id is dropped.
    """

    def __init__(
        self,
        name: str,
        *,
        fields: Mapping[str, FieldType],
        id: str | tuple[str, ...],  # noqa: A002
        key: str,
        event_time: str,
        known_at: str | None = None,
        clean: Mapping[str, Any] | None = None,
        dedupe: str = "5m",
    ) -> None:
        self.at = here()
        self.name = check_thing(name, "source")
        self.fields: dict[str, FieldType] = self._checked_fields(fields)
        self.id_fields = self._checked_id(id)
        self.key = self._field(key, "key")
        self.event_time = self._time(event_time, "event_time")
        self.known_at = None if known_at is None else self._time(known_at, "known_at")
        self.clean: dict[str, tuple[Rule, ...]] = bind_rules(
            {} if clean is None else clean, self.fields, self.owner
        )
        self.dedupe_us = microseconds(dedupe, "dedupe")

    @property
    def owner(self) -> str:
        """How messages name it."""
        return f"source {self.name!r}"

    @property
    def names(self) -> list[str]:
        """Names of the fields, in order."""
        return list(self.fields)

    @property
    def arrow_fields(self) -> list[pa.Field]:
        """Fields in the types in which they travel and are stored."""
        must = {*self.id_fields, self.key, self.event_time}
        return [
            pa.field(n, t.arrow, nullable=t.optional and n not in must)
            for n, t in self.fields.items()
        ]

    @property
    def schema(self) -> pa.Schema:
        """`arrow_fields` as a schema."""
        return pa.schema(self.arrow_fields)

    @property
    def pack_schema(self) -> pa.Schema:
        """Schema of a pack of the log: `_raw`, `_known_us`, then the fields."""
        from schemas.packs import (
            pack_schema,
        )  # a definition is loaded where no service is installed

        return pack_schema(self.arrow_fields)

    def canonical(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "fields": [[n, t.canonical()] for n, t in self.fields.items()],
            "id": list(self.id_fields),
            "key": self.key,
            "event_time": self.event_time,
            "known_at": self.known_at,
            "dedupe_us": self.dedupe_us,
            "clean": {n: [r.canonical() for r in rules] for n, rules in sorted(self.clean.items())},
        }

    def __repr__(self) -> str:
        return f"Source({self.name!r})"

    def _checked_fields(self, fields: Mapping[str, FieldType]) -> dict[str, FieldType]:
        if not isinstance(fields, Mapping) or not fields:
            refuse(f"{self.owner} has no fields", 'give fields={"flight_id": String(), ...}')
        return {
            check_column(name, "field"): self._checked_type(name, kind)
            for name, kind in fields.items()
        }

    def _checked_type(self, name: str, kind: FieldType) -> FieldType:
        if isinstance(kind, type) and issubclass(kind, FieldType):
            refuse(
                f"field {name!r} of {self.owner} is the class {kind.__name__}",
                f"call it: {kind.__name__}()",
            )
        if not isinstance(kind, FieldType):
            refuse(
                f"field {name!r} of {self.owner} is {shown(kind)}, no type",
                f"take one of {', '.join(t.documented.written.strip('`') for t in TYPES)}",
            )
        return kind

    def _checked_id(self, given: str | tuple[str, ...]) -> tuple[str, ...]:
        """The fields that name a record."""
        names = tuple(self._field(f, "id") for f in listed(given, f"id of {self.owner}"))
        if not names:
            refuse(
                f"{self.owner} has no id",
                "name the field, or the fields, that name a record once and for all",
            )
        if len(set(names)) < len(names):
            refuse(f"id of {self.owner} names a field twice: {names}", "name each once")
        check_key(names, self.fields, f"the id of {self.owner}")
        return names

    def _field(self, name: str, role: str) -> str:
        if not isinstance(name, str) or name not in self.fields:
            refuse(
                f"{role} of {self.owner} is {shown(name)}, which is not one of its fields",
                did_you_mean(name, self.fields),
            )
        return str.__str__(name)

    def _time(self, name: str, role: str) -> str:
        name = self._field(name, role)
        if not isinstance(self.fields[name], Timestamp):
            times = [n for n, t in self.fields.items() if isinstance(t, Timestamp)]
            refuse(
                f"{role} of {self.owner} is {name!r}, a {type(self.fields[name]).__name__}",
                f"it must be a Timestamp; {did_you_mean(name, times)}",
            )
        return name
