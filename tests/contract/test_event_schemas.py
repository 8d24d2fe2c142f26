"""Events keep to their committed schemas; a breaking change is refused."""

import copy
import json

import pytest

from schemas import events
from schemas.evolution import GOLDEN, breaking_changes, schema_of


@pytest.mark.parametrize("name", sorted(events.EVENT_TYPES))
def test_event_reads_what_its_golden_schema_says(name: str) -> None:
    golden = json.loads((GOLDEN / f"{name}.v1.json").read_text())
    assert breaking_changes(golden, schema_of(name)) == []


def test_every_golden_schema_has_its_event() -> None:
    assert {path.name.split(".")[0] for path in GOLDEN.iterdir()} == set(events.EVENT_TYPES)


def test_removed_field_is_a_breaking_change() -> None:
    old = schema_of("DataArrived")
    new = copy.deepcopy(old)
    del new["$defs"]["DataArrived"]["properties"]["source"]
    assert breaking_changes(old, new) == ["DataArrived.source is gone"]


def test_new_required_field_is_a_breaking_change_and_one_with_a_default_is_not() -> None:
    old = schema_of("SealRequested")
    new = copy.deepcopy(old)
    new["$defs"]["SealRequested"]["properties"]["urgency"] = {"type": "integer"}
    assert breaking_changes(old, new) == []
    new["$defs"]["SealRequested"]["required"] = ["urgency"]
    assert breaking_changes(old, new) == ["SealRequested.urgency is new and has no default"]


def test_event_survives_its_wire_form() -> None:
    event = events.DataArrived(
        source="orders", files=[events.FileRef(uri="s3://raw/a.parquet", sha256="00")]
    )
    assert events.decode("DataArrived", events.encode(event)) == event
