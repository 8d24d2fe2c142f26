"""What people see of training sets."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pyarrow as pa
import pytest

from tests.unit.datasets.sets import written
from tests.unit.datasets.test_fetching import Store, event_of
from twinstream.cli.dataset_tables import print_difference, print_set, print_sets, set_facts
from twinstream.datasets.catalogue import PublishedSet
from twinstream.datasets.differences import difference
from twinstream.datasets.fetching import published_manifest


def test_a_set_is_told_with_its_parts_and_columns(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written(tmp_path)
    store = Store(tmp_path)
    one = PublishedSet(event=event_of(store), models=("a" * 64,))
    print_sets([one])
    row = capsys.readouterr().out.splitlines()[1].split()
    assert row[:4] == ["will-buy", "5" * 12, "3", "1000"]
    assert row[-1] == "a" * 12
    facts = set_facts(one)
    print_set(facts)
    assert "column" not in capsys.readouterr().out
    manifest = msgspec.to_builtins(published_manifest(one.event, store))  # type: ignore[arg-type]
    print_set(facts | manifest)
    said = capsys.readouterr().out
    assert "train 700, validation 150, test 150" in said
    assert "by-shopper.last_seconds_24h" in said


def test_a_difference_is_told_with_examples(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = written(tmp_path)
    print_difference(difference(first, first), "3", "4")
    assert "both are the same rows" in capsys.readouterr().err
    place = first.column_names.index("mobile")
    second = first.set_column(place, "mobile", pa.array([None] * 1000, pa.bool_())).slice(2)
    print_difference(difference(first, second), "3", "4")
    said = capsys.readouterr()
    assert "other values of mobile" in said.out
    assert said.out.split("rows only in 3")[1].split()[0] == "2"
    assert "mobile of v000002 at 1970-01-01 00:00:02" in said.err
