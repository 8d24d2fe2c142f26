"""Charts of the demo's report as SVG text, in classes that the report's style sheet colours for
light and dark.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HEIGHT = 560, 210
LEFT, RIGHT, TOP, BOTTOM = 44, 10, 10, 24
Point = tuple[float, float]


def number(value: float | None, digits: int | None = None) -> str:
    """As the report writes numbers: thousands apart, two or three figures that matter;
    a dash for none.
    """
    if value is None:
        return "\u2013"
    if digits is None:
        digits = (
            0 if abs(value) >= 100 or float(value).is_integer() else 1 if abs(value) >= 10 else 2
        )
    return f"{value:,.{digits}f}"


def lines(
    series: Mapping[str, Sequence[float | None]], labels: Sequence[str], least_span: float = 0.05
) -> str:
    """Lines over equally spaced labels (days); a None leaves a gap."""
    known = [v for values in series.values() for v in values if v is not None]
    if not known:
        return ""
    middle, span = (max(known) + min(known)) / 2, max(max(known) - min(known), least_span) * 1.15
    low, high = middle - span / 2, middle + span / 2
    parts = [_horizontal(value, low, high, 2) for value in ticks(low, high)]
    step = max(1, -(-len(labels) // 8))
    parts += [
        _text(_x(i, len(labels)), HEIGHT - 6, text)
        for i, text in enumerate(labels)
        if i % step == 0
    ]
    for number_, values in enumerate(series.values(), 1):
        parts.append(f'<path class="line s{number_}" d="{_path(values, low, high)}"/>')
        parts += [
            _dot(_x(i, len(values)), _y(v, low, high), number_, f"{labels[i]}: {v:.3f}")
            for i, v in enumerate(values)
            if v is not None
        ]
    return _svg(parts)


def columns(labels: Sequence[str], counts: Sequence[float], unit: str) -> str:
    """A histogram: one column per bin, its label below."""
    top = max([*counts, 1]) * 1.08
    parts = [_horizontal(value, 0, top, 0) for value in ticks(0, top)]
    slot = (WIDTH - LEFT - RIGHT) / max(1, len(counts))
    for i, (label, count) in enumerate(zip(labels, counts, strict=True)):
        x, y = LEFT + i * slot, _y(count, 0, top)
        title = f"<title>{escape(label)} {escape(unit)}: {number(count)}</title>"
        parts.append(
            f'<rect class="s1" x="{x + 2:.1f}" y="{y:.1f}" width="{slot - 4:.1f}" '
            f'height="{HEIGHT - BOTTOM - y:.1f}">{title}</rect>'
        )
        parts.append(_text(x + slot / 2, HEIGHT - 6, label))
    return _svg(parts)


def calibration(points: Sequence[Point]) -> str:
    """Observed share over mean score, with the line on which both are equal."""
    parts = [_horizontal(v, 0, 1, 2) for v in (0, 0.25, 0.5, 0.75, 1)]
    parts += [_text(_share(v), HEIGHT - 6, f"{v:g}") for v in (0, 0.25, 0.5, 0.75, 1)]
    parts.append(
        '<path class="equal" '
        f'd="M{_share(0):.1f},{_y(0, 0, 1):.1f}L{_share(1):.1f},{_y(1, 0, 1):.1f}"/>'
    )
    path = "L".join(f"{_share(x):.1f},{_y(y, 0, 1):.1f}" for x, y in points)
    parts.append(f'<path class="line s2" d="M{path}"/>')
    parts += [
        _dot(_share(x), _y(y, 0, 1), 2, f"score {x:.3f}, observed {y:.3f}") for x, y in points
    ]
    return _svg(parts)


def bars(values: Mapping[str, float], unit: str, digits: int | None = None) -> str:
    """Horizontal bars as an HTML table, the longest filling its column."""
    longest = max([*values.values(), 1e-9])
    rows = "".join(
        f'<tr><td>{escape(name)}</td><td class="bar"><i '
        f'data-share="{100 * value / longest:.1f}" '
        f'style="width:{100 * value / longest:.1f}%"></i></td>'
        f'<td class="n">{number(value, digits)} {escape(unit)}</td></tr>'
        for name, value in values.items()
    )
    return f'<table class="bars">{rows}</table>'


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round values between two bounds."""
    span = max(high - low, 1e-9)
    power = 10.0 ** len(str(int(span))) if span >= 1 else 1.0
    steps = [power * 10.0**-e * m for e in range(6) for m in (5, 2.5, 2, 1)]
    step = min((s for s in steps if span / s <= most), default=span)
    first = -(-low // step)
    return [round((first + i) * step, 6) for i in range(most + 1) if (first + i) * step <= high]


def _svg(parts: Sequence[str]) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img">{"".join(parts)}</svg>'


def _x(i: int, n: int) -> float:
    return LEFT + 8 + (WIDTH - LEFT - RIGHT - 16) * (i / (n - 1) if n > 1 else 0.5)


def _share(value: float) -> float:
    return LEFT + value * (WIDTH - LEFT - RIGHT)


def _y(value: float, low: float, high: float) -> float:
    return HEIGHT - BOTTOM - (value - low) / (high - low) * (HEIGHT - BOTTOM - TOP)


def _path(values: Sequence[float | None], low: float, high: float) -> str:
    path, pen = "", "M"
    for i, value in enumerate(values):
        if value is None:
            pen = "M"
            continue
        path += f"{pen}{_x(i, len(values)):.1f},{_y(value, low, high):.1f}"
        pen = "L"
    return path


def _horizontal(value: float, low: float, high: float, digits: int) -> str:
    y = _y(value, low, high)
    text = number(value, digits) if value < 10_000 else f"{value / 1000:,.0f}k"
    return (
        f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/><text '
        f'x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{text}</text>'
    )


def _text(x: float, y: float, text: str) -> str:
    return f'<text x="{x:.1f}" y="{y}" text-anchor="middle">{escape(text)}</text>'


def _dot(x: float, y: float, series: int, title: str) -> str:
    return (
        f'<circle class="s{series}" cx="{x:.1f}" cy="{y:.1f}" '
        f'r="3"><title>{escape(title)}</title></circle>'
    )
