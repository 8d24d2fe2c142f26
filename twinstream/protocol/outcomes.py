"""How a question joins its outcome, and when that outcome is mature. Pure.

Training joins all at once (`preprocess_svc`), the monitor one by one; a law compares the two.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from twinstream.define.cleaned import cleaned_value
from twinstream.define.label import Label
from twinstream.define.source import Source
from twinstream.define.values import stored
from twinstream.errors import RecordError

Times = TypeVar("Times", int, npt.NDArray[np.int64])


def latest_us(at_us: Times, horizon_us: int) -> Times:
    """The last event time of an outcome of a question; its horizon includes both ends."""
    return at_us + horizon_us


def horizon_passed(latest: Times, known_us: int) -> Any:
    """Whether no further record of a question's horizon can become known: time is beyond its end.

    At its very end one more may: records become known in order, but several at one time.
    """
    return latest < known_us


def labelled(label: Label, at_us: Times, found: Any, as_of_us: int) -> Any:
    """Whether a question has its label as of a time: once its horizon has passed, whatever the
    label; with `settles="at once"` also as soon as a record of its outcome is known.

    `found`: whether a record of its outcome is known; bool, or bool[n] beside int64[n] `at_us`.
    """
    passed = horizon_passed(latest_us(at_us, label.horizon_us), as_of_us)
    return passed | found if label.at_once else passed


def within_horizon(at_us: int, event_us: int, horizon_us: int) -> bool:
    """Whether a record may be the outcome; of several the latest by (event time, position) is."""
    return at_us <= event_us <= latest_us(at_us, horizon_us)


def after_question(at_us: int, event_us: int, horizon_us: int) -> bool:
    """Whether a record lies in the time that an aggregate is over: (t, t + horizon]."""
    return at_us < event_us <= latest_us(at_us, horizon_us)


def label_of(outcome: float, missing: float | None) -> float | None:
    """The label of a known outcome, NaN for null; None leaves the question out."""
    return missing if math.isnan(outcome) else outcome


def join_key(label: Label, spine: Source, request: Mapping[str, Any]) -> Hashable | None:
    """The values by which a question joins, as `question_key` says."""
    return question_key(spine, label.on, request)


def question_key(
    spine: Source,
    names: Sequence[str],
    request: Mapping[str, Any],
) -> Hashable | None:
    """The values of these fields: stored and cleaned, as the question's record in the spine is.

    None when the request lacks one, or one that does not fit.
    """
    try:
        values = tuple(_stored(spine, name, request.get(name)) for name in names)
    except (RecordError, UnicodeEncodeError):
        return None
    return None if None in values else values


def _stored(spine: Source, name: str, value: Any) -> Any:
    return cleaned_value(spine, name, stored(spine.fields[name], value))
