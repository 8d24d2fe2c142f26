"""Names models by what they are: a digest over the bytes that decide what a model answers."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from twinstream.errors import PermanentError

WEIGHTS = "model.safetensors"
CONFIG = "config.json"
METRICS = "metrics.json"
PROGRAM = "model.onnx"
DECIDING = (CONFIG, WEIGHTS)
"""Every model has these; one that ONNX Runtime serves has its program too."""


class ModelCorruptError(PermanentError, ValueError):
    """A model's files are not those that its digest names."""


def model_digest(files: Mapping[str, bytes]) -> str:
    """Hex sha256 over the names and sha256 digests of the deciding files;
    raises ModelCorruptError when one is missing.
    """
    missing = [name for name in DECIDING if name not in files]
    if missing:
        raise ModelCorruptError(
            f"a model needs {' and '.join(DECIDING)}; missing: {', '.join(missing)}"
        )
    names = [*DECIDING, *(name for name in (PROGRAM,) if name in files)]
    lines = (f"{name} {hashlib.sha256(files[name]).hexdigest()}\n" for name in names)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def verify(files: Mapping[str, bytes], digest: str) -> None:
    """Raises ModelCorruptError unless the files have this digest."""
    found = model_digest(files)
    if found != digest:
        raise ModelCorruptError(
            f"the model's files have digest {found[:12]}, the event names {digest[:12]}: "
            "upload it again or train again"
        )


def qualified_name(network: Any) -> str:
    """`module.Class` of a network's class or of a definition's reference to one."""
    return str(getattr(network, "path", None) or f"{network.__module__}.{network.__qualname__}")
