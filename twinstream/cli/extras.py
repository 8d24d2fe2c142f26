"""What an installation without all extras is told: which one it lacks, and the command that adds
it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from importlib.util import find_spec

from deploy.local.services import MODULES
from twinstream.errors import SettingsError

PROBES = {"batch": "pyspark", "serve": "faust", "train": "torch"}
"""A module by which an extra is known. `search` is not asked for: without Ray one process
searches.
"""


def extra_of(kind: str) -> str:
    """The extra of a kind of service."""
    return kind if kind in PROBES else "serve"


def require(names: Iterable[str], probes: dict[str, str] = PROBES) -> None:
    """Raises SettingsError when a service of these names cannot run here."""
    lacking = [name for name in sorted(_needed(names)) if not _there(probes[name])]
    if lacking:
        raise SettingsError(
            f"these services need more than is installed: {install(*lacking)},"
            f" or all at once: {install('all')}"
        )


def _needed(names: Iterable[str]) -> set[str]:
    """`batch` brings Java, which every mesh asks for."""
    kinds = {name.partition("@")[0] for name in names} & MODULES.keys()
    return {"batch", *map(extra_of, kinds)}


def install(*extras: str) -> str:
    """The command that adds extras."""
    return f"pip install 'twinstream[{','.join(extras)}]'"


def _there(module: str) -> bool:
    """Whether a module is installed. One that is loaded is not looked up: faust takes its own
    place in `sys.modules`, without the spec that `find_spec` asks for.
    """
    return module in sys.modules or find_spec(module) is not None
