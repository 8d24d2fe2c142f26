"""Lines over time as an SVG file: enough for the soak, without a plotting library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 960, 420, 60, 150, 40, 40
COLOURS = (
    "#1f77b4",
    "#d62728",
    "#2ca02c",
    "#9467bd",
    "#ff7f0e",
    "#17becf",
    "#8c564b",
    "#e377c2",
    "#7f7f7f",
)
Lines = Mapping[str, Sequence[tuple[float, float]]]


def lines(path: Path, title: str, x_unit: str, y_unit: str, series: Lines) -> None:
    """Draws each series of (x, y), both from 0 on."""
    x_most = max((x for points in series.values() for x, _ in points), default=1.0) or 1.0
    y_most = max((y for points in series.values() for _, y in points), default=1.0) or 1.0
    parts = [_text(LEFT, 24, title, "start"), *_axis_x(x_most, x_unit), *_axis_y(y_most, y_unit)]
    for number, (name, points) in enumerate(
        sorted(series.items(), key=lambda item: -item[1][-1][1])
    ):
        colour = COLOURS[number % len(COLOURS)]
        places = " ".join(f"{_x(x, x_most):.1f},{_y(y, y_most):.1f}" for x, y in points)
        parts += [
            f'<polyline fill="none" stroke="{colour}" stroke-width="1.6" points="{places}"/>',
            *_key(number, name, colour),
        ]
    body = "\n".join(parts)
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="12">\n'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>\n{body}\n</svg>\n'
    )


def _axis_x(most: float, unit: str) -> list[str]:
    ticks = [most * i / 5 for i in range(6)]
    return [
        _text(_x(tick, most), HEIGHT - BOTTOM + 18, f"{tick:.3g}", "middle") for tick in ticks
    ] + [_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, unit, "middle")]


def _axis_y(most: float, unit: str) -> list[str]:
    parts = [_text(LEFT, TOP - 4, unit, "middle")]
    for tick in (most * i / 4 for i in range(5)):
        y = _y(tick, most)
        parts += [
            f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" stroke="#ddd"/>',
            _text(LEFT - 6, y + 4, f"{tick:.0f}", "end"),
        ]
    return parts


def _key(number: int, name: str, colour: str) -> list[str]:
    x, y = WIDTH - RIGHT + 12, TOP + 18 * number
    return [
        f'<rect x="{x}" y="{y}" width="12" height="4" fill="{colour}"/>',
        _text(x + 18, y + 6, name, "start"),
    ]


def _text(x: float, y: float, words: str, anchor: str) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="#333">{escape(words)}</text>'
    )


def _x(value: float, most: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * value / most


def _y(value: float, most: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / most
