"""Entry of the command `twinstream`: its commands, and what their exit codes mean."""

from __future__ import annotations

import sys

import typer

from twinstream.cli import ask, lifecycle, machine, proof, records, watching
from twinstream.cli.show import note
from twinstream.errors import DefinitionError, MeshError, NotRunningError, SettingsError, WaitTimeoutError

OK, FAILED, USAGE, NOT_RUNNING, TIMEOUT, INTERRUPTED = 0, 1, 2, 3, 4, 130
_CODES = ((NotRunningError, NOT_RUNNING), (WaitTimeoutError, TIMEOUT), (SettingsError, USAGE), (DefinitionError, USAGE))
EPILOG = "Exit codes: 0 ok, 1 failed, 2 wrong usage or definition, 3 not running, 4 waited too long."

app = typer.Typer(
    name="twinstream", no_args_is_help=True, add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False, epilog=EPILOG,
    help="A Lambda architecture for deep learning: one definition, an exact seam between batch and speed, predictions over REST.",
)
MESH, DATA, LOOK = "The mesh", "Data and predictions", "Looking at it"
for function, panel in (
    (lifecycle.up, MESH), (lifecycle.down, MESH), (lifecycle.status, MESH), (lifecycle.logs, MESH), (machine.doctor, MESH),
    (ask.demo, DATA), (records.publish, DATA), (records.send, DATA), (records.seal, DATA), (ask.predict, DATA),
    (watching.watch, LOOK), (watching.topics, LOOK), (proof.audit, LOOK), (proof.rebuild, LOOK),
):  # fmt: skip
    app.command(rich_help_panel=panel)(function)


def main(arguments: list[str] | None = None) -> None:
    """Run a command and end the process; a MeshError becomes its message and an exit code."""
    sys.exit(run(arguments))


def run(arguments: list[str] | None = None) -> int:
    """Run a command; return its exit code."""
    try:
        app(arguments)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else OK
    except KeyboardInterrupt:
        return INTERRUPTED
    except MeshError as error:
        note(f"[bold red]error:[/] {_plain(error)}")
        return next((code for kind, code in _CODES if isinstance(error, kind)), FAILED)
    return OK


def _plain(error: MeshError) -> str:
    """Its text, with nothing in it taken for markup."""
    return str(error).replace("[", "\\[")


if __name__ == "__main__":
    main()
