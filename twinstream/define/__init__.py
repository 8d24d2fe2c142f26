"""The definition language: what a user declares once, in one Python file. Knows no engine."""

from __future__ import annotations

from twinstream.define import fields
from twinstream.define.aggregates import Aggregate, Feature
from twinstream.define.cleaning import between, clip, lower, one_of, required, strip, upper
from twinstream.define.expressions import Expr
from twinstream.define.fields import *  # noqa: F403 - one name for each type of field
from twinstream.define.fields.base import FieldType
from twinstream.define.label import Label
from twinstream.define.model import Inputs, Model
from twinstream.define.network import Network
from twinstream.define.outcome import any_, time_to_first
from twinstream.define.pipeline import Pipeline
from twinstream.define.search import (
    METRICS,
    Choice,
    Range,
    choice,
    int_uniform,
    log_uniform,
    uniform,
)
from twinstream.define.source import Source
from twinstream.define.time_split import TimeSplit
from twinstream.define.view import Output, View

__all__ = [
    "METRICS",
    "Aggregate",
    "Choice",
    "Expr",
    "Feature",
    "FieldType",
    "Inputs",
    "Label",
    "Model",
    "Network",
    "Output",
    "Pipeline",
    "Range",
    "Source",
    "TimeSplit",
    "View",
    "any_",
    "between",
    "choice",
    "clip",
    "int_uniform",
    "log_uniform",
    "lower",
    "one_of",
    "required",
    "strip",
    "time_to_first",
    "uniform",
    "upper",
]
__all__ += fields.__all__
