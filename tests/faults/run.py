"""The long fault run: seeded kills, stops and broken files under load;
every key compared with the oracle, byte for byte.

`python -m tests.faults.run [--seed S] [--kills N] [--minutes M] [--report FILE]`;
exit status 1 for any difference.
"""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from random import Random

import structlog

from tests.faults import report as reports
from tests.faults.arena import SLOW, Arena
from tests.faults.kinds import WEIGHTS, Fault
from tests.faults.report import Compared, Report
from twinstream.errors import MeshError

AUDIT_EVERY = 12
"""Rounds between two comparisons, on average."""


class Run:
    """Rounds of a few faults each, until enough were killed or the time is over;
    prints a line for each.
    """

    def __init__(
        self, arena: Arena, dice: Random, report: Report, *, kills: int, minutes: float
    ) -> None:
        self._arena, self._dice, self._report = arena, dice, report
        self._kills, self._end = kills, time.monotonic() + minutes * 60
        self._begun = time.monotonic()

    def faults(self) -> None:
        """All rounds, with comparisons at random places between them."""
        self._arena.feeder.start()
        while self._report.total_kills < self._kills and time.monotonic() < self._end:
            self._round()
            if self._dice.random() < 1 / AUDIT_EVERY:
                self.compare("between faults", plain_one_in=4)

    def finish(self) -> None:
        """One more epoch, then every key by the plain oracle, and the books."""
        arena = self._arena
        arena.ready()
        before = arena.landed()
        arena.seal()
        arena.wait(lambda: arena.landed() > before, "the last epoch landed")
        arena.quiesce()
        self.compare("at the end", plain_one_in=1)
        self._report.ledger = arena.examine()
        self._report.epochs = arena.landed()

    def compare(self, where: str, plain_one_in: int) -> None:
        """Every key of every view."""
        waited = self._arena.ready(without=SLOW)
        found = self._arena.compare(plain_one_in)
        self._report.compared.append(
            Compared(round(self._at(), 1), where, found.compared, found.different, found.examples)
        )
        self._say(
            "compare",
            (
                f"{where}: {found.compared} keys, {found.different} different (ready after "
                f"{waited:.0f} s)"
            ),
        )

    def _round(self) -> None:
        for _ in range(self._dice.choice((1, 1, 2, 3))):
            self._one()
            time.sleep(self._dice.choice((0.05, 0.5, 2.0)))
        if self._dice.random() < 0.6:
            self._arena.ready(without=SLOW if self._dice.random() < 0.8 else ())
        else:
            self._arena.hurry()
            time.sleep(self._dice.uniform(0.0, 6.0))

    def _one(self) -> None:
        self._arena.engines_ready()
        fault: Fault = self._dice.choices(list(WEIGHTS), weights=list(WEIGHTS.values()))[0]
        what = fault(self._arena, self._dice)
        if what:
            self._report.faults[fault.__name__] = self._report.faults.get(fault.__name__, 0) + 1
            self._report.kills = dict(self._arena.kills)
            self._say(fault.__name__, what)

    def _at(self) -> float:
        return time.monotonic() - self._begun

    def _say(self, kind: str, what: str) -> None:
        print(
            f"[{self._at():7.1f} s, {self._report.total_kills:3d} kills] {kind}: {what}", flush=True
        )


def main(arguments: list[str] | None = None) -> int:
    """0 when nothing differed."""
    asked = _parser().parse_args(arguments)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    folder = Path(tempfile.mkdtemp(prefix="twinstream-faults-"))
    signal.signal(
        signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM")
    )  # so that nothing stays behind
    with (folder / "stderr.log").open(
        "ab"
    ) as noise:  # what Kafka clients say of a broker that was killed
        os.dup2(noise.fileno(), 2)
    report = Report(seed=asked.seed, wanted_kills=asked.kills)
    began = time.monotonic()
    try:
        with Arena(
            folder, asked.seed, rate_per_s=asked.rate, limit=asked.records, small_disk=True
        ) as arena:
            run = Run(arena, Random(asked.seed), report, kills=asked.kills, minutes=asked.minutes)
            try:
                run.faults()
                run.finish()
            except (MeshError, TimeoutError) as error:
                report.stopped_by = str(error)
            report.records = arena.feeder.sent
    finally:
        report.seconds = round(time.monotonic() - began)
    if asked.with_faust_table:
        from tests.faults.faust_table import run_table

        report.faust_table = run_table(asked.seed, asked.faust_kills, asked.faust_records)
    reports.write(report, Path(asked.report))
    print(reports.table(report))
    if report.ok:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        print(f"what it ran on is kept in {folder}")
    return 0 if report.ok else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--kills", type=int, default=500, help="processes killed before the run ends"
    )
    parser.add_argument("--minutes", type=float, default=120.0, help="it ends then in any case")
    parser.add_argument("--rate", type=float, default=25.0, help="records a second, on average")
    parser.add_argument("--records", type=int, default=50_000, help="records at most")
    parser.add_argument("--report", default="faults.json", help="where the result is written")
    parser.add_argument(
        "--with-faust-table",
        action="store_true",
        help="the same load with kills through a plain Faust table beside",
    )
    parser.add_argument("--faust-kills", type=int, default=20)
    parser.add_argument("--faust-records", type=int, default=30_000)
    return parser


if __name__ == "__main__":
    sys.exit(main())
