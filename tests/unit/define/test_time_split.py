"""What a user may say of the parts of a training set."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.unit.train.material import shop
from twinstream import DefinitionError, Label, Model, TimeSplit


@pytest.mark.parametrize(
    "given",
    [
        (0.7, 0.3),
        (0, 0.5),
        (0.5, -0.1),
        (float("nan"), 0.1),
        (float("inf"), 0.1),
        (True, 0.1),
        (0.7, "2024-01-01T00:00:00Z"),
        ("2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z"),
        ("2024-02-01T00:00:00Z", "2024-01-01T00:00:00Z"),
        ("2024-01-01", "2024-02-01"),
        ("soon", "later"),
        (None, None),
        (datetime(2024, 1, 1), datetime(2024, 2, 1)),  # noqa: DTZ001
    ],
)
def test_what_leaves_a_part_empty_or_says_no_moment_is_refused_with_its_line(given: Any) -> None:
    with pytest.raises(DefinitionError) as refused:
        TimeSplit(*given)
    assert refused.value.line
    assert refused.value.remedy


@pytest.mark.parametrize("purged", ["", "a day", 5, "-1d"])
def test_what_is_purged_is_a_span_of_time(purged: Any) -> None:
    with pytest.raises(DefinitionError, match="purged"):
        TimeSplit(purged=purged)


def test_moments_are_taken_with_any_zone() -> None:
    first = TimeSplit("2024-01-01T00:00:00Z", "2024-02-01T01:00:00+01:00")
    second = TimeSplit(datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 2, 1, tzinfo=UTC))
    assert first.canonical() == second.canonical()


def model(**more: Any) -> Model:
    found = shop().models[0]
    label = found.label
    assert isinstance(label, Label)
    return Model("m", spine=found.spine, at=found.at, views=found.views, label=label, **more)


def test_a_split_is_part_of_the_definition() -> None:
    assert "split" not in model().canonical()
    assert model(split=TimeSplit(0.6, 0.2)).canonical()["split"]["shares"] == (0.6, 0.2)
    with pytest.raises(DefinitionError, match="split="):
        model(split=0.7)
