"""Twinstream: a Lambda architecture for deep learning. What a definition file imports; loads no engine."""

from __future__ import annotations

from twinstream.define import (
    Bool,
    Decimal,
    Inputs,
    Int,
    Label,
    Model,
    Network,
    Pipeline,
    Source,
    String,
    Timestamp,
    View,
    between,
    choice,
    clip,
    count,
    count_by,
    distinct,
    first,
    int_uniform,
    last,
    last_k,
    log_uniform,
    lower,
    maximum,
    mean,
    minimum,
    one_of,
    quantile,
    required,
    share,
    std,
    strip,
    sum_,
    uniform,
    upper,
    variance,
)  # fmt: skip
from twinstream.errors import DefinitionError, MeshError, RecordError

__all__ = [
    "Bool", "Decimal", "DefinitionError", "Inputs", "Int", "Label", "MeshError", "Model", "Network", "Pipeline", "RecordError", "Source",
    "String", "Timestamp", "View", "between", "choice", "clip", "count", "count_by", "distinct", "first", "int_uniform", "last", "last_k",
    "log_uniform", "lower", "maximum", "mean", "minimum", "one_of", "quantile", "required", "share", "std", "strip", "sum_",
    "uniform", "upper", "variance",
]  # fmt: skip
