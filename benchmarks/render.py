"""Writes `benchmarks/README.md`, and three figures into the README, from `results/*.json`.

`python -m benchmarks.render [report.json of a demo]` takes a demo's report into `results/demo.json` first.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
HEAD = """# Benchmarks

Each table is written by `python -m benchmarks.render` from `results/*.json`, which the commands below write with machine and commit. The machines are shared and noisy: look at ratios of one run
before absolute figures of two. `make bench` runs all but the demo, the overload of the
HTTP doors (`python -m benchmarks.overload`) and the soak, which is `make soak`.

"""
SHOWN = (
    "demo",
    "chain",
    "freshness",
    "read",
    "base",
    "recovery",
    "growth",
    "dedupe",
    "predict",
    "overload",
    "soak",
    "fold",
    "score",
    "dataset",
    "peers",
)
IMAGES = HERE.parent / "docs" / "images"
OPENING = HERE.parent / "README.md"
BEGIN = "<!-- figures: begin (python -m benchmarks.render) -->"
END = "<!-- figures: end -->"


def main(report: str = "") -> None:
    """Renders all results that there are."""
    if report:
        (HERE / "results" / "demo.json").write_text(
            json.dumps(_from_demo(json.loads(Path(report).read_text())), indent=2) + "\n"
        )
    parts = [
        _section(json.loads(path.read_text()))
        for name in SHOWN
        if (path := HERE / "results" / f"{name}.json").exists()
    ]
    (HERE / "README.md").write_text(HEAD + "\n".join(parts))
    OPENING.write_text(opening(OPENING.read_text()))


def opening(readme: str) -> str:
    """The README with its three figures against peers as they were measured."""
    before, _, rest = readme.partition(BEGIN)
    return f"{before}{BEGIN}\n{_against_peers()}\n{END}{rest.partition(END)[2]}"


def _against_peers() -> str:
    rows = [_chain(_result("peers")), _counts(_result("faults")), _rows(_result("predict"))]
    head = "| on two cores | Twinstream | peer | commit |\n|---|---|---|---|"
    return "\n".join([head, *(f"| {' | '.join(row)} |" for row in rows)])


def _result(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((HERE / "results" / f"{name}.json").read_text())
    return found


def _chain(result: dict[str, Any]) -> tuple[str, ...]:
    figures = result["figures"]
    quix = figures["quix_at_least_once_2_processes"]["records_per_s"]
    faust = figures["faust_linger_20_ms"]["records_per_s"]
    return (
        "records a second, from Kafka to readable",
        f"**{figures['ours']['records_per_s']:,}**: the whole chain, nine features",
        f"{quix:,} Quix Streams, {faust:,} Faust: one keyed sum",
        f"`{result['commit']}`",
    )


def _counts(result: dict[str, Any]) -> tuple[str, ...]:
    last, peer = result["compared"][-1], result["faust_table"]
    kills = sum(result["kills"].values())
    return (
        "keys that are wrong after `kill -9`",
        f"**{last['different']:,}** of {last['keys']:,}, after {kills:,} kills",
        f"{peer['wrong']:,} of {peer['keys']:,} in a Faust table, after {peer['kills']:,} kills",
        f"`{result['commit']}`",
    )


def _marked(one: float, other: float) -> str:
    """In bold where it is the greater one."""
    return f"**{one:,.0f}**" if one > other else f"{one:,.0f}"


def _rows(result: dict[str, Any]) -> tuple[str, ...]:
    found = result["figures"]["rows_1"]
    ours, peer = (found[name]["requests_per_s"] for name in ("twinstream", "fastapi"))
    return (
        "predictions a second, one row a request",
        f"{_marked(ours, peer)}: three views at one position, each answer logged to Kafka",
        f"{_marked(peer, ours)} FastAPI: three reads of LMDB, nothing logged",
        f"`{result['commit']}`",
    )


def _from_demo(report: dict[str, Any]) -> dict[str, Any]:
    kept = (
        "records",
        "predictions",
        "auc",
        "log_loss",
        "throughput_per_s",
        "predictions_per_s",
        "freshness_ms",
        "prediction_ms",
        "seam_difference",
        "seconds",
        "memory_mb",
    )
    machine = dict(report["machine"])
    return {
        "benchmark": "demo",
        "figures": {name: report[name] for name in kept if name in report},
        "at": machine.pop("at"),
        "machine": machine,
        "commit": report["commit"],
        "command": report["command"],
    }


def _section(result: dict[str, Any]) -> str:
    machine = ", ".join(f"{name} {value}" for name, value in result["machine"].items())
    tables = {name: value for name, value in result["figures"].items() if _is_table(value)}
    plain = {name: value for name, value in result["figures"].items() if name not in tables}
    rows = "\n".join(f"| {name} | {value} |" for name, value in _flat("", plain))
    more = "".join(_table(name, value) for name, value in tables.items()) + _image(
        result["benchmark"]
    )
    note = f"\n{result['note']}\n" if result.get("note") else ""
    return (
        f"## {result['benchmark']}\n\n`{result['command']}` at commit {result['commit']}, {result['at']}; {machine}.\n{note}\n"
        f"| figure | value |\n|---|---|\n{rows}\n{more}"
    )


def _is_table(value: Any) -> bool:
    """Whether it maps several names to the same plain figures."""
    rows = list(value.values()) if isinstance(value, dict) else []
    alike = len(rows) > 1 and all(
        isinstance(row, dict) and row.keys() == rows[0].keys() for row in rows
    )
    return alike and not any(isinstance(cell, dict) for row in rows for cell in row.values())


def _table(name: str, rows: dict[str, dict[str, Any]]) -> str:
    columns = next(iter(rows.values()))
    lines = [
        f"| {row} | " + " | ".join(str(cell) for cell in cells.values()) + " |"
        for row, cells in rows.items()
    ]
    head = (
        f"| {name.replace('_', ' ')} | "
        + " | ".join(column.replace("_", " ") for column in columns)
        + " |\n"
    )
    return "\n" + head + "|---" * (len(columns) + 1) + "|\n" + "\n".join(lines) + "\n"


def _image(name: str) -> str:
    return f"\n![{name}](../docs/images/{name}.svg)\n" if (IMAGES / f"{name}.svg").exists() else ""


def _flat(prefix: str, figures: dict[str, Any]) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in figures.items():
        label = f"{prefix} {name}".strip().replace("_", " ")
        found += _flat(label, value) if isinstance(value, dict) else [(label, value)]
    return found


if __name__ == "__main__":
    main(*sys.argv[1:])
