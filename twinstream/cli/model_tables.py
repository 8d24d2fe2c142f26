"""What `models` shows: plain data for scripts, tables and a sentence for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from twinstream.cli.model_book import SHORT, Candidate, Decided, ModelBook
from twinstream.cli.model_comparisons import Measured, print_answered, print_compared
from twinstream.cli.model_metrics import print_metrics
from twinstream.cli.show import out, print_rows, shown, table, utc_second
from twinstream.protocol.succession import held_words

COLUMNS = ("model", "digest", "state", "epoch", "trained", "by", "reason")
DECISIONS = ("when", "what", "digest", "by", "reason")
LATEST = 20
"""So many decisions are shown to people."""
REASON_CHARS = 100
APART = {"metrics", "version_ids", "compared", "answered", "decided"}
"""Facts of a model that have a table of their own, or none."""


def now_words(book: ModelBook) -> str:
    """What serves, in a sentence."""
    held = book.succession.held
    parts = [*_serving_words(book), *_candidate_words(book)]
    parts += [] if held is None else [held_words(held)]
    return f"{book.model}: {'; '.join(parts)}"


def _serving_words(book: ModelBook) -> list[str]:
    serving, before = book.serving, book.before
    words = ["nothing serves"]
    if serving is not None:
        words = [f"{serving.model_digest[:SHORT]} serves ({serving.reason})"]
    if before is not None:
        words.append(f"before it {before.model_digest[:SHORT]}")
    return words


def _candidate_words(book: ModelBook) -> list[str]:
    """What is asked beside what serves, and what answers a share."""
    shadow = book.succession.shadow(book.definition)
    canary = book.succession.canary(book.definition)
    words = []
    if shadow is not None:
        words.append(f"{shadow.model_digest[:SHORT]} is {shadow.reason}")
    if canary is not None:
        words.append(f"{canary.model_digest[:SHORT]} answers {canary.reason}")
    return words


def summary(book: ModelBook, measured: Measured) -> dict[str, Any]:
    """A model's past and present as plain data; `measured`: as the monitor says."""
    line = [one.model_digest for one in book.succession.line(book.definition)]
    return {
        "model": book.model,
        "definition": book.definition,
        "serves": next(iter(line), None),
        "served_before": line[1:],
        "held": book.succession.held,
        "shadow": book.shadow_digest or None,
        "canary": book.canary_digest or None,
        "compared": measured.compared,
        "answered": measured.answered,
        "decided": book.decided,
        "models": book.lines(),
    }


def facts_of(
    book: ModelBook,
    found: Candidate,
    measured: Measured,
) -> dict[str, Any]:
    """One trained model as plain data."""
    named, trained = found.named, found.trained
    return {
        **book.line(found),
        "training_set": getattr(trained, "training_set_digest", None),
        "seconds": getattr(trained, "seconds", None),
        "uri": getattr(named, "uri", None),
        "version_ids": getattr(named, "version_ids", {}),
        "compared": measured.compared_with(found.digest),
        "answered": measured.answered_by(found.digest),
        "decided": [one for one in book.decided if one.digest == found.digest],
    }


def print_facts(found: Mapping[str, Any]) -> None:
    """One trained model, for people."""
    for name in [name for name in found if name not in APART]:
        out.print(f"[bold]{shown(name)}[/] {shown(_said(name, found[name]))}", soft_wrap=True)
    print_metrics(found["metrics"])
    print_compared(found["compared"])
    print_answered(found["answered"])
    print_decisions(found["decided"])


def print_summary(found: Mapping[str, Any]) -> None:
    """The latest decisions about a model, and its candidates, for people."""
    print_decisions(found["decided"][-LATEST:])
    print_compared(found["compared"])
    print_answered(found["answered"])


def print_lines(
    lines: Iterable[Mapping[str, Any]],
    *,
    json: bool,
) -> None:
    """Trained models, a row or a JSON document each."""
    print_rows(lines, COLUMNS, _cells, json=json)


def print_decisions(decided: Iterable[Decided]) -> None:
    """What was decided, oldest first."""
    out.print(table(DECISIONS, map(_decision_cells, decided)))


def _said(name: str, value: Any) -> str:
    return _moment(value) if name.endswith("_at_us") else str(value)


def _moment(at_us: int | None) -> str:
    return utc_second(at_us) if at_us else ""


def _cells(line: Mapping[str, Any]) -> tuple[object, ...]:
    return (
        line["model"],
        shown(line["digest"][:SHORT]),
        line["state"],
        line["epoch"],
        _moment(line["trained_at_us"]),
        shown(line["by"]),
        _short(line["reason"]),
    )


def _decision_cells(one: Decided) -> tuple[str, ...]:
    return (
        _moment(one.at_us),
        f"{one.what}, without effect" if one.no_effect else one.what,
        shown(one.digest[:SHORT]),
        shown(one.by),
        _short(one.no_effect or one.reason),
    )


def _short(text: str) -> str:
    return shown(text.replace("\n", " ")[:REASON_CHARS])
