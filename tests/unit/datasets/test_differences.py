"""What differs between two training sets is found by row and column."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from twinstream.datasets.differences import difference

Rows = dict[tuple[str, int], tuple[Any, ...]]
KEYS = st.tuples(st.sampled_from("abc"), st.integers(0, 3))
NUMBERS = st.none() | st.integers(0, 2) | st.just(2**53 + 1)
VALUES = st.tuples(NUMBERS, st.lists(st.none() | st.sampled_from([0.5, 1.5]), max_size=2))
SETS = st.dictionaries(KEYS, VALUES, max_size=8)


def table(rows: Rows) -> pa.Table:
    keys = sorted(rows, key=lambda key: (key[1], key[0]))
    return pa.table(
        {
            "_id": pa.array([key[0] for key in keys], pa.string()),
            "_at_us": pa.array([key[1] for key in keys], pa.int64()),
            "n": pa.array([rows[key][0] for key in keys], pa.int64()),
            "v.last": pa.array([rows[key][1] for key in keys], pa.list_(pa.float64())),
        }
    )


@given(SETS, SETS)
def test_rows_and_values_that_differ_are_counted(first: Rows, second: Rows) -> None:
    found = difference(table(first), table(second))
    shared = first.keys() & second.keys()
    changed = {
        name: sum(first[key][place] != second[key][place] for key in shared)
        for place, name in enumerate(("n", "v.last"))
    }
    assert found.rows_first == len(first.keys() - shared)
    assert found.rows_second == len(second.keys() - shared)
    assert found.rows_both == len(shared)
    assert found.changed == {name: number for name, number in changed.items() if number}
    assert found.is_none == (first == second)
    for one in found.examples:
        place = ("n", "v.last").index(one.column)
        key = (one.id, one.at_us)
        assert (one.first, one.second) == (first[key][place], second[key][place])


def test_columns_that_one_has_alone_and_other_types_are_told() -> None:
    first = table({("a", 1): (1, [])})
    second = first.drop_columns(["v.last"]).set_column(2, "n", pa.array([1.0]))
    found = difference(first, second)
    assert (found.columns_first, found.columns_second) == (["v.last"], [])
    assert found.changed == {"n": 1}
    assert not found.is_none
