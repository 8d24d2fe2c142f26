"""The names of a definition file; `twinstream` gives them out. Loads no engine."""

from __future__ import annotations

from twinstream import aggregates
from twinstream.aggregates import *  # noqa: F403 - one name for each module of an aggregate
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
    int_uniform,
    log_uniform,
    lower,
    one_of,
    required,
    strip,
    uniform,
    upper,
)
from twinstream.errors import DefinitionError, MeshError, RecordError

__all__ = [
    "Bool",
    "Decimal",
    "DefinitionError",
    "Inputs",
    "Int",
    "Label",
    "MeshError",
    "Model",
    "Network",
    "Pipeline",
    "RecordError",
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
__all__ += aggregates.__all__
