"""Twinstream: a Lambda architecture for deep learning. What a definition file imports; loads no engine."""

from __future__ import annotations

from twinstream.define.aggregates import (
    count, count_by, distinct, first, last, last_k, maximum, mean, minimum, quantile, share, std, sum_, variance,
)  # fmt: skip
from twinstream.define.cleaning import between, clip, lower, one_of, required, strip, upper
from twinstream.define.label import Label
from twinstream.define.model import Inputs, Model
from twinstream.define.pipeline import Pipeline
from twinstream.define.search import choice, int_uniform, log_uniform, uniform
from twinstream.define.source import Source
from twinstream.define.types import Bool, Decimal, Int, String, Timestamp
from twinstream.define.view import View
from twinstream.errors import DefinitionError, MeshError, RecordError

__all__ = [
    "Bool", "Decimal", "DefinitionError", "Inputs", "Int", "Label", "MeshError", "Model", "Pipeline", "RecordError", "Source", "String",
    "Timestamp", "View", "between", "choice", "clip", "count", "count_by", "distinct", "first", "int_uniform", "last", "last_k",
    "log_uniform", "lower", "maximum", "mean", "minimum", "one_of", "quantile", "required", "share", "std", "strip", "sum_",
    "uniform", "upper", "variance",
]  # fmt: skip
