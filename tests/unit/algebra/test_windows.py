"""Which tiles a window takes."""

from __future__ import annotations

import pytest

from twinstream.algebra import layout, windows
from twinstream.algebra.windows import DAY_US, HOUR_US, MINUTE_US


@pytest.mark.parametrize(
    ("window", "hop"),
    [
        ("5m", 0),
        ("719m", 0),
        ("12h", 1),
        ("11d", 1),
        ("12d", 2),
        ("365d", 2),
        ("all", 3),
        ("2w", 2),
    ],
)
def test_hop_goes_by_the_length_of_the_window(window, hop):
    assert windows.hop_of(window) == hop


def test_window_takes_the_tiles_from_the_one_of_its_start_to_the_one_of_its_end():
    assert windows.tiles("1h", 100 * HOUR_US + 7 * MINUTE_US) == (0, 99 * 12 + 1, 100 * 12 + 1)
    assert windows.tiles("30d", 0) == (2, -30, 0)
    assert windows.tiles("24h", -1) == (1, -25, -1)
    assert windows.tiles("all", 80_000 * DAY_US) == (3, 0, 0)


@pytest.mark.parametrize("window", ["4m", "366d", "1.5h", "h", "", "0m", "-5m", "5 m", "ALL"])
def test_window_that_is_none_is_refused(window):
    with pytest.raises(ValueError, match="window"):
        windows.length_us(window)


def test_rowkeys_order_by_hop_and_then_by_tile_also_before_1970():
    pairs = [(hop, tile) for hop in range(4) for tile in (-(2**30), -1, 0, 1, 2**30)]
    assert [layout.rowkey(*pair) for pair in pairs] == sorted(
        layout.rowkey(*pair) for pair in pairs
    )
    assert [layout.hop_and_tile(layout.rowkey(*pair)) for pair in pairs] == pairs
