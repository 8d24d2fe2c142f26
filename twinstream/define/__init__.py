"""The definition language: what a user declares once, in one Python file. Knows no engine."""

from __future__ import annotations

from twinstream.define.aggregates import Aggregate, Feature
from twinstream.define.cleaning import between, clip, lower, one_of, required, strip, upper
from twinstream.define.expressions import Expr
from twinstream.define.label import Label
from twinstream.define.model import Inputs, Model
from twinstream.define.network import Network
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
from twinstream.define.types import Bool, Decimal, FieldType, Int, String, Timestamp
from twinstream.define.view import Output, View

__all__ = [
    "METRICS",
    "Aggregate",
    "Bool",
    "Choice",
    "Decimal",
    "Expr",
    "Feature",
    "FieldType",
    "Inputs",
    "Int",
    "Label",
    "Model",
    "Network",
    "Output",
    "Pipeline",
    "Range",
    "Source",
    "String",
    "Timestamp",
    "View",
    "between",
    "choice",
    "clip",
    "int_uniform",
    "log_uniform",
    "lower",
    "one_of",
    "required",
    "strip",
    "uniform",
    "upper",
]
