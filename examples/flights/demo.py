"""The whole loop on real flights: files in, epoch, training, live records, predictions,
and an audit of all of it.

Run by `twinstream demo` (or `make demo`); the report is written to `<data>/report.html` and
`<data>/report.json`.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import structlog
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from deploy.local import services, state
from examples.flights import data as flights
from examples.flights import evidence, report, variants
from examples.flights.live import Answer, Asker, Moment, Sender, moments, play
from examples.flights.steps import Mesh, running_mesh
from twinstream.errors import MeshError

HERE = Path(__file__).parent
NEW_YORK = ZoneInfo("America/New_York")
LIVE_FROM = datetime(2013, 10, 1, tzinfo=NEW_YORK)
MODEL = "late-arrival"
console = Console()


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What the demo plays."""

    data: Path
    """Folder of this run; an earlier run's content is replaced."""
    days: int = 14
    """Live days from 1 October on."""
    keep_up: bool = False
    """Leave the mesh running at the end."""
    variants: bool = True
    """Also train the two models that the live one is compared with."""
    kill: bool = False
    """End each service once with SIGKILL while the days are played."""


class Phases:
    """Seconds by phase, told as they pass."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str, says: str) -> Iterator[None]:
        console.print(f"[bold cyan]▶[/] {says}")
        started = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - started, 2)
        console.print(f"  [green]✓[/] {name} in {self.seconds[name]:.1f} s")


def microseconds(moment: datetime) -> int:
    """UTC microseconds since 1970."""
    return int(moment.timestamp()) * 1_000_000


def main(
    data: str | Path = ".twinstream/demo",
    *,
    days: int = 14,
    keep_up: bool = False,
    with_variants: bool = True,
    kill: bool = False,
) -> Path:
    """Plays the demo and returns the path of `report.json`; raises MeshError with what to do when a
    step fails.
    """
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    plan = Plan(
        data=Path(data).absolute(), days=days, keep_up=keep_up, variants=with_variants, kill=kill
    )
    phases = Phases()
    _clear(plan.data)
    with phases("prepare", "reading the flights of 2013 and writing January to September as files"):
        files = flights.write_files(plan.data / "files", microseconds(LIVE_FROM))
        live_until = microseconds(LIVE_FROM + timedelta(days=plan.days))
        records = flights.live(microseconds(LIVE_FROM), live_until)
        questions = flights.questions(microseconds(LIVE_FROM), live_until)
    with running_mesh(
        plan.data / "mesh", HERE / "pipeline.py", phases, keep_up=plan.keep_up
    ) as mesh:
        facts = _run(plan, phases, mesh, files, list(moments(records, questions)))
        result = evidence.report(phases.seconds, mesh, facts)
    return _write(plan, result)


def _clear(folder: Path) -> None:
    """Removes what an earlier run left; raises MeshError while a mesh still runs there."""
    before = state.read(folder / "mesh")
    if before is not None and before.running:
        raise MeshError(
            f"a mesh is running in {folder / 'mesh'}: "
            f"end it first with `twinstream down --data {folder / 'mesh'}`"
        )
    for part in ("mesh", "files"):
        shutil.rmtree(folder / part, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)


def _run(
    plan: Plan, phases: Phases, mesh: Mesh, files: dict[str, list[Path]], moments_: list[Moment]
) -> evidence.Facts:
    with phases("files", "putting the files on S3, each announced by a data-arrival event"):
        mesh.publish(files)
    with phases(
        "epoch", "sealing the first epoch: Spark folds the batch views and builds the training set"
    ):
        mesh.seal(wait=True)
    with phases("training", "training, validating and testing with PyTorch, searched by Optuna"):
        mesh.wait_for_model(MODEL)
    with phases(
        "live",
        (
            f"playing {plan.days} days live: every flight asked about 30 minutes before its "
            "scheduled departure"
        ),
    ):
        answers, sent, killed = _live(mesh, moments_, services.ALL if plan.kill else ())
    with phases("settle", "waiting for the epoch that was sealed in the middle"):
        mesh.wait_for_epoch(2)
    with phases(
        "audit", "comparing every key of every view with a from-scratch fold of everything"
    ):
        audit = mesh.audit()
    compared = None
    if plan.variants:
        with phases("variants", "training the two models without live views alike, for comparison"):
            compared = variants.compare(mesh, MODEL, moments_, answers)
    return evidence.Facts(
        moments=moments_, answers=answers, sent=sent, killed=killed, audit=audit, variants=compared
    )


def _live(
    mesh: Mesh, moments_: list[Moment], to_kill: tuple[str, ...]
) -> tuple[list[Answer], int, list[str]]:
    """Answers, records sent, services killed: one after the other at equal distances,
    an epoch being sealed half way.
    """
    sender, asker = Sender(mesh.settings), Asker(mesh.predict_address, MODEL)
    columns = (
        TextColumn("  {task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
    )
    kill_at = {
        len(moments_) * (number + 1) // (len(to_kill) + 1): name
        for number, name in enumerate(to_kill)
    }
    killed = []
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("1 October", total=len(moments_))

        def on_moment(number: int, moment: Moment) -> None:
            if number == len(moments_) // 2:
                mesh.seal(wait=False)
            if number in kill_at:
                killed.append(kill_at[number])
                console.print(f"  kill -9 {killed[-1]} (pid {mesh.embedded.kill(killed[-1])})")
            if number % 20 == 0:
                day = datetime.fromtimestamp(moment.at_us / 1e6, NEW_YORK)
                progress.update(task, completed=number, description=f"{day:%-d %B %H:%M}")

        return play(sender, asker, moments_, on_moment), sender.sent, killed


def _write(plan: Plan, result: dict) -> Path:
    path = plan.data / "report.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=2))
    report.render_html(result, plan.data / "report.html")
    report.render_terminal(result)
    console.print(f"\nThe report: {plan.data / 'report.html'} and {path}")
    return path


if __name__ == "__main__":
    main()
