"""The stores of a serving view on this host, in LMDB: for the worker that writes them, and for
whoever reads them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from predict_svc.view.adapters.lmdb_reads import LmdbReads
from predict_svc.view.adapters.lmdb_store import LmdbStore
from predict_svc.view.reader import ViewReader
from predict_svc.view.settings import ViewSettings
from predict_svc.view.store import Store
from twinstream.algebra.plan import ViewPlan
from twinstream.define import View
from twinstream.mesh.settings import MeshSettings

Opening = Callable[[ViewPlan, int], Store]
"""Opens the store of a view and partition to write it."""


def folder_of(settings: MeshSettings, view: str, partition: int) -> Path:
    """Where the store of a view and partition lies."""
    return Path(settings.data) / "view" / view / str(partition)


def open_store(folder: Path, plan: ViewPlan, knobs: ViewSettings | None = None) -> Store:
    """For the one who writes it."""
    knobs = knobs or ViewSettings()
    return Store(LmdbStore(folder, map_gib=knobs.map_gib), plan, knobs.spare_bytes)


def opening(settings: MeshSettings, knobs: ViewSettings) -> Opening:
    """Opens the stores of this host."""
    return lambda plan, partition: open_store(
        folder_of(settings, plan.view.name, partition), plan, knobs
    )


def open_reader(settings: MeshSettings, view: View) -> ViewReader:
    """A reader of all partitions of a view on this host."""
    folders = [folder_of(settings, view.name, p) for p in range(settings.partitions)]
    return ViewReader(view, [LmdbReads(folder) for folder in folders])
