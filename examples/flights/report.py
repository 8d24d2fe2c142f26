"""Shows the demo's figures, all taken from one dict (report.json):
as one HTML file that needs nothing else, and on the terminal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from examples.flights import report_charts as charts
from examples.flights.report_charts import number

Report = Mapping[str, Any]
VARIANTS = {
    "request_only": "request fields only",
    "batch": "+ batch views of last midnight",
    "live": "+ live views",
}
STYLE = (Path(__file__).parent / "report.css").read_text(encoding="utf-8")


def render_html(report: Report, path: Path | str) -> None:
    """Writes the report to `path`; a part whose figures are not in `report` is left out."""
    parts = (
        _head(report),
        _numbers(report),
        _variants(report),
        _charts(report),
        _seam(report),
        _foot(report),
    )
    body = "\n".join(part for part in parts if part)
    Path(path).write_text(
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta '
        'name="viewport" content="width=device-width, initial-scale=1">'
        "<title>Twinstream: flights, "
        f"live</title><style>{STYLE}</style></head><body><main>{body}</main></body></html>\n",
        encoding="utf-8",
    )


def render_terminal(report: Report, console: Console | None = None) -> None:
    """Prints the report's main figures."""
    console = console or Console()
    if report.get("auc"):
        console.print(_terminal_variants(report))
    table = Table(box=box.SIMPLE_HEAD, show_header=False, pad_edge=False)
    table.add_column(style="dim")
    table.add_column()
    for name, value, more in _facts(report):
        table.add_row(name, f"[bold]{value}[/]  [dim]{more}[/]")
    console.print(table)
    console.print(_terminal_seam(report["seam_difference"]))


def _terminal_variants(report: Report) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        title="Three models trained alike, on live flights",
        title_justify="left",
        title_style="bold",
    )
    for name in ("given", "AUC", "", "log loss"):
        table.add_column(name, justify="left" if name in {"given", ""} else "right")
    for key, says in VARIANTS.items():
        area, loss = report["auc"].get(key), report.get("log_loss", {}).get(key)
        bar = "" if area is None else "█" * round(max(0.0, area - 0.5) * 80)
        table.add_row(says, number(area, 3), f"[cyan]{bar}[/]", number(loss, 3))
    return table


def _terminal_seam(seam: Mapping[str, int]) -> Panel:
    good = seam["different"] == 0 and seam["compared"] > 0
    text = (
        f"seam_difference  [bold]{seam['different']:,} of {seam['compared']:,}[/] keys differ "
        "from a from-scratch fold of everything"
    )
    return Panel(text, border_style="green" if good else "red", expand=False)


def _facts(report: Report) -> list[tuple[str, str, str]]:
    """Name, value and remark of each main figure."""
    records, fresh, asked = report["records"], report["freshness_ms"], report["prediction_ms"]
    rows = [
        ("records in", number(records["in"]), _books(records)),
        (
            "predictions",
            number(report["predictions"]),
            f"{number(report['predictions_per_s'])}/s" if "predictions_per_s" in report else "",
        ),
        (
            "throughput",
            f"{number(report['throughput_per_s'])}/s",
            "live records, in lockstep with the questions",
        ),
        (
            "freshness p99",
            f"{number(fresh['p99'])} ms",
            f"p50 {number(fresh['p50'])} ms, from send to readable",
        ),
        (
            "prediction p99",
            f"{number(asked['p99'])} ms",
            f"p50 {number(asked['p50'])} ms, from question to answer",
        ),
    ]
    if report.get("killed"):
        rows.append(
            ("kill -9", number(len(report["killed"])), f"meanwhile: {', '.join(report['killed'])}")
        )
    seconds = report.get("seconds", {})
    total = seconds.get("total", sum(seconds.values()))
    return [*rows, ("time", f"{number(total, 0)} s", "all phases")] if seconds else rows


def _books(records: Mapping[str, int]) -> str:
    """What became of all records; a sum that does not come out is told."""
    told = (
        f"{number(records['logged'])} logged, {number(records['duplicate'])} came twice, "
        f"{number(records['dead_letters'])} dead letters"
    )
    left = records["in"] - records["logged"] - records["duplicate"] - records["dead_letters"]
    return f"{told}, {number(left)} UNACCOUNTED FOR" if left else told


def _head(report: Report) -> str:
    facts = [
        report.get("command"),
        report.get("commit") and f"commit {report['commit']}",
        _machine_line(report.get("machine", {})),
    ]
    line = " · ".join(escape(str(fact)) for fact in facts if fact)
    return (
        "<header><h1>Will this flight arrive 15 or more minutes late?</h1><p>Asked 30 minutes "
        f"before its scheduled departure. {line}</p></header>"
    )


def _machine_line(machine: Mapping[str, Any]) -> str:
    cores, memory = machine.get("cores"), machine.get("memory_gb")
    return ", ".join(
        str(p)
        for p in (
            machine.get("cpu"),
            cores and f"{cores} cores",
            memory and f"{memory} GB",
            machine.get("at"),
        )
        if p
    )


def _numbers(report: Report) -> str:
    seam = report["seam_difference"]
    mood = "good" if seam["different"] == 0 and seam["compared"] > 0 else "bad"
    cells = [_cell(*fact) for fact in _facts(report)]
    cells.append(
        _cell(
            "seam difference",
            f"{number(seam['different'])} of {number(seam['compared'])}",
            "keys, byte for byte",
            mood,
        )
    )
    return f'<section class="numbers">{"".join(cells)}</section>'


def _cell(name: str, value: str, more: str, mood: str = "") -> str:
    return (
        f'<div class="number {mood}"><div class="name">{escape(name)}</div><div '
        f'class="value">{escape(value)}</div><div class="more">{escape(more)}</div></div>'
    )


def _variants(report: Report) -> str:
    if not report.get("auc"):
        return ""
    rows = ""
    for place, (key, says) in enumerate(VARIANTS.items(), 1):
        area, loss = report["auc"].get(key), report.get("log_loss", {}).get(key)
        share = 0.0 if area is None else max(0.0, area - 0.5) * 200
        rows += (
            f'<tr><td>{says}</td><td class="bar"><i class="s{place}" '
            f'style="width:{share:.1f}%"></i></td>'
            f'<td class="n big">{number(area, 3)}</td><td class="n">{number(loss, 3)}</td></tr>'
        )
    head = (
        '<tr><th>given</th><th>AUC, from 0.5 to 1</th><th class="n">AUC</th><th class="n">log '
        "loss</th></tr>"
    )
    return _card(
        "What fresh features are worth",
        "three models trained alike, asked about the same live flights",
        f'<table class="bars wide">{head}{rows}</table>',
        "all",
    )


def _charts(report: Report) -> str:
    drawn = [draw(report[key]) for key, draw in _CHARTS.items() if report.get(key)]
    return f'<section class="grid">{"".join(drawn)}</section>'


def _by_day(days: list[Mapping[str, Any]]) -> str:
    series = {key: [day.get(key) for day in days] for key in VARIANTS}
    legend = "".join(
        f'<span><i class="s{i}"></i>{says}</span>' for i, says in enumerate(VARIANTS.values(), 1)
    )
    return _card(
        "AUC by day",
        "",
        f'<div class="legend">{legend}</div>'
        + charts.lines(series, [str(day["day"]) for day in days]),
    )


def _freshness(histogram: Mapping[str, list[float]]) -> str:
    edges, counts = histogram["edges_ms"], histogram["counts"]
    last = max((i for i, n in enumerate(counts) if n), default=0) + 1
    labels = [f"{low:g}-{high:g}" for low, high in pairwise(edges)]
    return _card(
        "Freshness",
        "milliseconds from send to readable; number of questions",
        charts.columns(labels[:last], counts[:last], "ms"),
    )


def _calibration(tenths: list[Mapping[str, float]]) -> str:
    points = [(float(t["score"]), float(t["observed"])) for t in tenths]
    return _card(
        "Calibration",
        "observed share of late flights over the mean score",
        charts.calibration(points),
    )


def _seconds(seconds: Mapping[str, float]) -> str:
    phases = {name: value for name, value in seconds.items() if name != "total"}
    return _card("Time", "seconds by phase", charts.bars(phases, "s", 1))


def _memory(memory: Mapping[str, float]) -> str:
    ordered = dict(sorted(memory.items(), key=lambda item: -item[1]))
    return _card("Memory", "largest proportional size by process", charts.bars(ordered, "MB", 0))


def _releases(releases: Mapping[str, int]) -> str:
    return _card(
        "Releases",
        "definition, epoch, model: questions that each answered",
        charts.bars(releases, "", 0),
    )


def _epochs(epochs: list[Mapping[str, Any]]) -> str:
    names = list(epochs[0])
    head = "".join(f"<th>{escape(name.replace('_', ' '))}</th>" for name in names)
    rows = "".join(
        "<tr>" + "".join(f"<td>{_value(epoch.get(name))}</td>" for name in names) + "</tr>"
        for epoch in epochs
    )
    return _card("Epochs", "", f"<table><tr>{head}</tr>{rows}</table>")


_CHARTS: dict[str, Callable[[Any], str]] = {
    "auc_by_day": _by_day,
    "freshness_histogram": _freshness,
    "calibration": _calibration,
    "seconds": _seconds,
    "memory_mb": _memory,
    "releases": _releases,
    "epochs": _epochs,
}


def _seam(report: Report) -> str:
    by_view = report.get("seam_by_view")
    if not by_view:
        return ""
    rows = "".join(
        f"<tr><td>{escape(view)}</td>{_seam_cells(of)}</tr>" for view, of in by_view.items()
    )
    examples = "".join(
        f"<li><code>{escape(str(example))}</code></li>"
        for example in report.get("seam_examples", [])
    )
    table = (
        '<table><tr><th>view</th><th class="n">keys compared</th><th '
        f'class="n">different</th></tr>{rows}</table>'
    )
    return _card(
        "The seam",
        "every key of every view against a from-scratch fold of all files and logs, byte for byte",
        table + (f"<ul>{examples}</ul>" if examples else ""),
        "all",
    )


def _seam_cells(of: Any) -> str:
    compared, different = (
        (of.get("compared"), of.get("different")) if isinstance(of, Mapping) else tuple(of)[:2]
    )
    return f'<td class="n">{number(compared)}</td><td class="n">{number(different)}</td>'


def _foot(report: Report) -> str:
    machine = "".join(
        f"<tr><td>{escape(str(name))}</td><td>{_value(value)}</td></tr>"
        for name, value in report.get("machine", {}).items()
    )
    return _card("Machine", "", f"<table>{machine}</table>", "all") if machine else ""


def _value(value: Any) -> str:
    return (
        number(value)
        if isinstance(value, (int, float)) and not isinstance(value, bool)
        else escape(str(value))
    )


def _card(title: str, note: str, content: str, size: str = "") -> str:
    return (
        '<section class="card '
        f'{size}"><h2>{escape(title)}<small>{escape(note)}</small></h2>{content}</section>'
    )
