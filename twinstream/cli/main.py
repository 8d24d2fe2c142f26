"""Entry of the command `twinstream`: its commands, and what their exit codes mean."""

from __future__ import annotations

import errno
import os
import sys
import traceback

import typer
from confluent_kafka import KafkaException

from twinstream.cli import (
    ask,
    datasets,
    dead_letters,
    ending,
    extras,
    files,
    lifecycle,
    machine,
    models,
    proof,
    records,
    scoring,
    watching,
)
from twinstream.cli.show import note, shown
from twinstream.errors import MeshError
from twinstream.mesh.exit_codes import (
    FAILED,
    INTERRUPTED,
    NOT_RUNNING,
    OK,
    READER_GONE,
    exit_code,
)

EPILOG = (
    "Exit codes: 0 ok, 1 failed, 2 wrong usage or definition, 3 not running, 4 waited too long, "
    "130 Ctrl-C, 141 nobody reads the output, 143 ended by SIGTERM."
)
TRACE = "TWINSTREAM_TRACE"
PRIVATE = ("twinstream", "schemas", "deploy", "examples")

app = typer.Typer(
    name="twinstream",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    epilog=EPILOG,
    help="A Lambda architecture for deep learning: one definition, an exact seam between batch and speed, predictions over REST.",
)
NAMES = {"score_spine": "score"}
"""Commands that are not called as their functions are."""
MESH, DATA, LOOK = "The mesh", "Data and predictions", "Looking at it"
for function, panel in (
    (lifecycle.up, MESH),
    (lifecycle.down, MESH),
    (lifecycle.status, MESH),
    (lifecycle.logs, MESH),
    (machine.doctor, MESH),
    (ask.demo, DATA),
    (records.publish, DATA),
    (records.send, DATA),
    (records.seal, DATA),
    (ask.predict, DATA),
    (scoring.score_spine, DATA),
    (watching.watch, LOOK),
    (watching.topics, LOOK),
    (proof.audit, LOOK),
    (proof.rebuild, LOOK),
):
    app.command(NAMES.get(function.__name__), rich_help_panel=panel)(function)
app.add_typer(dead_letters.app, name="dead-letters", rich_help_panel=LOOK)
app.add_typer(files.app, name="files", rich_help_panel=LOOK)
app.add_typer(models.app, name="models", rich_help_panel=LOOK)
app.add_typer(datasets.app, name="dataset", rich_help_panel=LOOK)


def main(arguments: list[str] | None = None) -> None:
    """Run a command and end the process; a MeshError becomes its message and an exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    ending.promptly(given[0] if given else "")
    code = _flushed(run(arguments))
    if code == READER_GONE:
        ending.forget_output()
    sys.exit(code)


def _flushed(code: int) -> int:
    """The exit code, once all is written."""
    try:
        sys.stdout.flush()
    except OSError:
        return READER_GONE
    return code


def run(arguments: list[str] | None = None) -> int:
    """Run a command; return its exit code. No input of a user ends in a stack trace."""
    _spell_out()
    try:
        app(arguments, prog_name="twinstream")
    except SystemExit as ended:
        return _ended(ended)
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001  (the last door: a fault of ours is told in words, with its trace on request)
        return _failed(error)
    return OK


def _spell_out() -> None:
    """Names in another encoding than the terminal's."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


def _failed(error: Exception) -> int:
    match error:
        case MeshError():
            _say(str(error))
            return exit_code(error)
        case KafkaException():
            _say(f"Kafka does not answer: {error}; see twinstream status")
            return NOT_RUNNING
        case OSError():
            return _without_system(error)
        case ModuleNotFoundError():
            return _lacking(error)
        case _:
            return _our_fault(error)


def _ended(ended: SystemExit) -> int:
    """Typer ends a command whose output nobody reads as one that failed."""
    code = ended.code if isinstance(ended.code, int) else OK
    return READER_GONE if code == FAILED and ending.output_is_gone() else code


def _without_system(error: OSError) -> int:
    """What the operating system refused."""
    if error.errno == errno.EPIPE:
        return READER_GONE
    _say(str(error))
    return FAILED


def _lacking(error: ModuleNotFoundError) -> int:
    """What this installation does not hold."""
    if not error.name or error.name.partition(".")[0] in PRIVATE:
        return _our_fault(error)
    _say(f"this command needs the package {error.name!r}: {extras.install('all')}")
    return FAILED


def _our_fault(error: Exception) -> int:
    _say(
        f"a fault of this command: {type(error).__name__}: {error}; set {TRACE}=1 to see where, and report it"
    )
    if os.environ.get(TRACE):
        traceback.print_exception(error)
    return FAILED


def _say(text: str) -> None:
    """An error, with nothing in it taken for markup and nothing acted on by a terminal."""
    note(f"[bold red]error:[/] {shown(text)}")


if __name__ == "__main__":
    main()
