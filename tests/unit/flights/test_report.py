"""The demo's report shows what is in its dict, and nothing else."""

import io
from html.parser import HTMLParser
from pathlib import Path

import pytest
from rich.console import Console

from examples.flights.report import render_html, render_terminal
from examples.flights.report_charts import ticks

LEAST = {
    "records": {"in": 123_456, "logged": 123_001, "duplicate": 400, "dead_letters": 55},
    "predictions": 13_579,
    "auc": {"request_only": 0.7141, "batch": 0.7262, "live": 0.7873},
    "log_loss": {"request_only": 0.511, "batch": 0.502, "live": 0.449},
    "throughput_per_s": 987.6,
    "freshness_ms": {"p50": 31.2, "p99": 84.9},
    "prediction_ms": {"p50": 4.2, "p99": 12.7},
    "seam_difference": {"compared": 45_678, "different": 0},
    "seconds": {"prepare": 11.5, "live": 118.2},
}
MORE = {
    "predictions_per_s": 114.9,
    "releases": {"3f2a9c1b-e1-81ab02ff": 900, "3f2a9c1b-e2-c07d9e44": 100},
    "auc_by_day": [
        {
            "day": f"{d} Oct",
            "request_only": 0.70 + d / 900,
            "batch": None if d == 3 else 0.72 + d / 700,
            "live": 0.79 - d / 800,
            "n": 950,
        }
        for d in range(1, 15)
    ],
    "freshness_histogram": {
        "edges_ms": [0, 10, 20, 30, 40, 50, 75, 100, 150, 250, 500, 1000, 10000],
        "counts": [3, 40, 900, 1400, 800, 300, 90, 20, 5, 0, 0, 0],
    },
    "calibration": [
        {"score": s / 10 + 0.04, "observed": (s / 10 + 0.04) ** 1.1, "n": 135} for s in range(10)
    ],
    "seam_by_view": {
        "by-origin": {"compared": 3, "different": 0},
        "by-tail": {"compared": 4043, "different": 0},
    },
    "epochs": [
        {"epoch": 1, "files": 36, "seconds": 61.2},
        {"epoch": 2, "files": 36, "seconds": 44.0},
    ],
    "memory_mb": {"kafka": 610.2, "spark": 1400.0, "predict": 420.0},
    "machine": {
        "cpu": "<a cpu>",
        "cores": 2,
        "memory_gb": 24.0,
        "system": "Linux",
        "at": "2025-01-01T00:00:00",
    },
    "commit": "abc1234",
    "command": "make demo",
}


class Balanced(HTMLParser):
    """Collects the text, and refuses tags that do not close each other."""

    EMPTY = frozenset({"meta", "line", "rect", "circle", "path", "br"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.EMPTY:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data + " "


@pytest.mark.parametrize("report", [LEAST, {**LEAST, **MORE}], ids=["least", "all"])
def test_html_is_whole_and_shows_every_main_figure(report: dict, tmp_path: Path) -> None:
    render_html(report, tmp_path / "report.html")
    html = (tmp_path / "report.html").read_text()
    text = Balanced(html).text
    for figure in (
        "123,456",
        "13,579",
        "0.714",
        "0.726",
        "0.787",
        "0.449",
        "988/s",
        "84.9 ms",
        "12.7 ms",
        "0 of 45,678",
        "118.2 s",
    ):
        assert figure in text
    assert "http" not in html.replace("http-equiv", "")
    assert "<a cpu>" not in html


def test_difference_at_the_seam_is_shown_as_bad(tmp_path: Path) -> None:
    render_html(
        {**LEAST, "seam_difference": {"compared": 10, "different": 2}}, tmp_path / "report.html"
    )
    assert 'class="number bad"' in (tmp_path / "report.html").read_text()


def test_report_is_written_when_no_variants_were_trained(tmp_path: Path) -> None:
    without = {key: value for key, value in LEAST.items() if key not in {"auc", "log_loss"}}
    render_html(without, tmp_path / "report.html")
    assert "log loss" not in (tmp_path / "report.html").read_text()
    render_terminal(without, Console(file=io.StringIO()))


def test_terminal_shows_the_figures() -> None:
    out = io.StringIO()
    render_terminal({**LEAST, **MORE}, Console(file=out, width=120))
    for figure in ("0.787", "123,456", "84.9 ms", "0 of 45,678"):
        assert figure in out.getvalue()


@pytest.mark.parametrize(("low", "high"), [(0, 1500), (0.69, 0.8), (0, 1), (0, 7), (0.5, 0.50001)])
def test_ticks_lie_between_their_bounds(low: float, high: float) -> None:
    found = ticks(low, high)
    assert 1 <= len(found) <= 6 or high - low < 1e-4
    assert all(low <= tick <= high for tick in found)


def test_records_that_nobody_accounts_for_are_told() -> None:
    console = Console(file=io.StringIO(), width=140)
    render_terminal({**LEAST, "records": {**LEAST["records"], "dead_letters": 54}}, console)
    assert "1 UNACCOUNTED FOR" in console.file.getvalue()
