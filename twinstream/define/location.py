"""Where in the user's file a definition lies, and how a mistake in it is refused:
file, line, remedy.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable
from pathlib import Path
from types import FrameType
from typing import NamedTuple, NoReturn

from twinstream.errors import DefinitionError

_OURS = tuple(str(Path(__file__).parent.parent / package) for package in ("define", "algebra"))
_LONGEST = 200


class Location(NamedTuple):
    """A line of the user's file."""

    file: str
    line: int


def here() -> Location:
    """The innermost line on the call stack that is not ours."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - the way to a caller's line
    while frame is not None and _is_ours(frame.f_code.co_filename):
        frame = frame.f_back
    return (
        Location("<unknown>", 0)
        if frame is None
        else Location(frame.f_code.co_filename, frame.f_lineno)
    )


def refuse(message: str, remedy: str = "", at: Location | None = None) -> NoReturn:
    """Raises DefinitionError at the user's line."""
    where = at or here()
    raise DefinitionError(message, remedy, where.file, where.line)


def shown(value: object) -> str:
    """A value in a message: its text, cut, whatever it is."""
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001
        # a number too long to print, an object that cannot say what it is
        text = f"a {type(value).__name__}"
    text = text.encode(errors="backslashreplace").decode()
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """A remedy for an unknown name: the nearest known one, or all of them."""
    word, known = str(word)[:_LONGEST] if isinstance(word, str) else "", list(known)
    best = max(known, key=lambda name: (_likeness(word, name), _ratio(word, name)), default=None)
    if best is not None and _likeness(word, best) > 0.6:
        return f"did you mean {best!r}?"
    return f"there are: {', '.join(known)}" if known else "there are none"


def _likeness(word: str, name: str) -> float:
    """0..1; a short form of a long name ('dely' of 'delay_minutes') is near as well."""
    heads = {name, name[: len(word)], *name.split("_")}
    return max(_ratio(word, head) for head in heads)


def _ratio(word: str, name: str) -> float:
    return difflib.SequenceMatcher(None, word.lower(), name).ratio()


def _is_ours(file: str) -> bool:
    return (
        file.startswith(_OURS) or file == "<string>"
    )  # the latter: methods that dataclasses generate
