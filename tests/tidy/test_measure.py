"""The measure counts what a reader reads: code, not layout, comments or documentation."""

from __future__ import annotations

import pytest

from tests.tidy.measure import Length, Measure, lengths, measure

SMALL = "def one(a):\n    return a\n"


@pytest.mark.parametrize(
    ("source", "tokens"),
    [
        (SMALL, 8),
        ("def one(a):\n    # why\n\n    return a\n", 8),
        ('def one(a):\n    """Say."""\n    return a\n', 8),
        ('def one(a):\n    """Say.\n\n    More.\n    """\n    return a\n', 8),
        ("def one(\n    a\n):\n    return (\n        a\n    )\n", 10),
        ("async def one(a):\n    return a\n", 9),
    ],
)
def test_a_function_is_counted_without_layout_and_documentation(source: str, tokens: int) -> None:
    assert lengths(source) == [Length("one", 1, tokens)]


def test_a_nested_function_counts_in_the_outer_one_too() -> None:
    source = "def outer():\n    def inner(a):\n        return a\n    return inner\n"
    assert {each.name: each.tokens for each in lengths(source)} == {"outer": 15, "inner": 8}


def test_median_and_tail_are_those_of_all_modules() -> None:
    large = "def large():\n    return [" + "1, " * 50 + "]\n"
    assert measure([SMALL] * 9 + [large]) == Measure(8, 108, 9.0)


def test_lines_are_dense_when_code_shares_them() -> None:
    spread, dense = "a = 1\nb = 2\n", "a, b = 1, 2\n"
    assert measure([SMALL, spread]).per_line < measure([SMALL, dense]).per_line
