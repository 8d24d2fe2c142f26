"""The names of a definition file; `twinstream` gives them out. Loads no engine."""

from __future__ import annotations

from twinstream import aggregates
from twinstream.aggregates import *  # noqa: F403 - one name for each module of an aggregate
from twinstream.define import (
    Inputs,
    Label,
    Model,
    Network,
    Pipeline,
    Source,
    TimeSplit,
    View,
    any_,
    between,
    choice,
    clip,
    fields,
    int_uniform,
    log_uniform,
    lower,
    one_of,
    required,
    strip,
    time_to_first,
    uniform,
    upper,
)
from twinstream.define.fields import *  # noqa: F403 - one name for each type of field
from twinstream.errors import DefinitionError, MeshError, RecordError

__all__ = [
    "DefinitionError",
    "Inputs",
    "Label",
    "MeshError",
    "Model",
    "Network",
    "Pipeline",
    "RecordError",
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
__all__ += aggregates.__all__ + fields.__all__
