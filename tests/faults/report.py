"""What a fault run found: as JSON, as a table to print, and as the table of docs/faults.md.

`python -m tests.faults.report FILE` writes the tables of that run into docs/faults.md.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.record import commit, machine
from tests.faults.ledger import Ledger
from twinstream.audit.compare import Difference

PAGE = Path(__file__).parents[2] / "docs" / "faults.md"
BEGIN, END = "<!-- begin: made by python -m tests.faults.report -->", "<!-- end -->"
NAMES = {
    "kill_one": "kill -9 of one process",
    "kill_some": "kill -9 of two or three at once",
    "kill_all": "kill -9 of every service at once",
    "kill_broker": "kill -9 of Kafka",
    "kill_while_sealing": "kill -9 while an epoch ends",
    "stop_and_go": "stopped for seconds, then continued",
    "second_worker": "a second worker joins or leaves",
    "overlap": "a stopped worker returns after another took over",
    "seal": "an epoch ended under load",
    "delete_store": "a view's data deleted",
    "corrupt_base": "a base file on S3 corrupted",
    "disk_full": "the view's disk full",
}


class Compared(msgspec.Struct):
    """One comparison of every key of every view."""

    at_s: float
    where: str
    keys: int
    different: int
    examples: list[Difference]


class FaustTable(msgspec.Struct, kw_only=True):
    """A plain Faust table under kills: `wrong` of `keys` counts differ from the truth."""

    records: int
    kills: int
    keys: int
    wrong: int
    too_high: int
    too_low: int
    counted: int
    seconds: float


class Report(msgspec.Struct, kw_only=True):
    """A whole run."""

    seed: int
    wanted_kills: int
    kills: dict[str, int] = {}
    faults: dict[str, int] = {}
    compared: list[Compared] = []
    ledger: Ledger | None = None
    records: int = 0
    epochs: int = 0
    seconds: int = 0
    stopped_by: str = ""
    faust_table: FaustTable | None = None
    machine: dict[str, Any] = {}
    commit: str = ""
    at: str = ""

    @property
    def total_kills(self) -> int:
        return sum(self.kills.values())

    @property
    def comparisons(self) -> int:
        return sum(c.keys for c in self.compared)

    @property
    def mismatches(self) -> int:
        return sum(c.different for c in self.compared)

    @property
    def ok(self) -> bool:
        """Whether the run came to its end and nothing differed."""
        return (
            not self.stopped_by
            and self.mismatches == 0
            and self.ledger is not None
            and not self.ledger.wrong
        )


def write(report: Report, path: Path) -> None:
    """As JSON, with the machine and the commit."""
    report.machine, report.commit, report.at = (
        machine(),
        commit(),
        datetime.now(UTC).isoformat(timespec="seconds"),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(report)))


def table(report: Report) -> str:
    """For a terminal and for Markdown alike."""
    lines = ["| fault | times |", "|---|---|"]
    lines += [
        f"| {NAMES.get(kind, kind)} | {n} |"
        for kind, n in sorted(report.faults.items(), key=lambda item: -item[1])
    ]
    lines += ["", "| killed | times |", "|---|---|"]
    lines += [
        f"| {name} | {n} |" for name, n in sorted(report.kills.items(), key=lambda item: -item[1])
    ]
    lines += [f"| all | {report.total_kills} |", "", "| result | |", "|---|---|", *_results(report)]
    if report.stopped_by:
        lines.append(f"| the run was cut short by | {report.stopped_by} |")
    return "\n".join(lines)


def _results(report: Report) -> list[str]:
    led = report.ledger or Ledger()
    rows = {
        "records sent": f"{report.records:,}",
        "epochs landed": f"{report.epochs:,}",
        "comparisons with the oracle (runs)": f"{len(report.compared):,}",
        "keys compared, byte for byte": f"{report.comparisons:,}",
        "keys that differed": f"{report.mismatches:,}",
        "raw records": f"{led.raw:,}",
        "in the log, once": f"{led.in_log:,}",
        "dead_letters": f"{led.dead_letters:,}",
        "dead-lettered more than once (same place)": f"{led.dead_letters_again:,}",
        "repeats dropped": f"{led.repeats_dropped:,}",
        "files accepted, once each": f"{led.files:,}",
        "lost or counted twice": f"{len(led.wrong):,}",
    }
    return [f"| {name} | {value} |" for name, value in rows.items()] + [
        f"| wrong | {line} |" for line in led.wrong[:10]
    ]


def beside(report: Report) -> str:
    """Ours beside the plain Faust table."""
    other = report.faust_table
    if other is None:
        return ""
    last = report.compared[-1]
    return "\n".join(
        [
            "| | Twinstream | Faust table (`table[key] += 1`, at least once) |",
            "|---|---|---|",
            f"| records | {report.records:,} | {other.records:,} |",
            f"| kill -9 | {report.total_kills:,} | {other.kills:,} |",
            f"| keys at the end | {last.keys:,} | {other.keys:,} |",
            f"| keys that are wrong | **{last.different:,}** | **{other.wrong:,}** |",
            (
                f"| counted too much / too little (keys) | 0 / 0 | {other.too_high:,} / "
                f"{other.too_low:,} |"
            )
            if not last.different
            else "",
        ]
    )


def page(report: Report) -> str:
    """The generated part of docs/faults.md."""
    where = (
        f"Run of {report.at[:10]}, seed {report.seed}, commit `{report.commit}`, "
        f"{report.seconds // 60} minutes on {report.machine.get('cpu')} "
        f"({report.machine.get('cores')} cores)."
    )
    return "\n\n".join(part for part in (BEGIN, where, beside(report), table(report), END) if part)


def main(source: str) -> None:
    """Put the tables of a run into the page."""
    report = msgspec.json.decode(Path(source).read_bytes(), type=Report)
    text = PAGE.read_text(encoding="utf-8")
    head, tail = text.split(BEGIN, 1)[0], text.split(END, 1)[1]
    PAGE.write_text(head + page(report) + tail, encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
