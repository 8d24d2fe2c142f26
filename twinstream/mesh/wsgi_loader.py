"""How granian's workers find an application: as Python finds it."""

from __future__ import annotations

import importlib
from typing import Any


def made(target: str) -> Any:
    """The application that the factory `module:function` makes.

    Granian's own loader puts the current folder before all others, so that a numpy.py there would
    be taken for numpy.
    """
    module, _, factory = target.partition(":")
    return getattr(importlib.import_module(module), factory)()
