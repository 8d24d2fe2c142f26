"""The demo's mesh and what a user does with it: publish files, seal an epoch, wait for a model,
audit.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from deploy.local.mesh import EmbeddedMesh
from deploy.local.services import ALL
from schemas.events import (
    DataArrived,
    Event,
    FileAccepted,
    FileRef,
    ModelPromoted,
    ModelRejected,
    SealRequested,
    TrainingSetPublished,
    ViewPublished,
)
from schemas.topics import topic_of
from twinstream.audit.compare import Audit, audit
from twinstream.errors import MeshError
from twinstream.mesh.events import EventPublisher, EventReader
from twinstream.mesh.object_store import ObjectStore
from twinstream.mesh.pipeline_file import load

if TYPE_CHECKING:
    from twinstream.define import Pipeline
    from twinstream.mesh.settings import MeshSettings

FORMATS = {".parquet": "parquet", ".csv": "csv", ".jsonl": "jsonl"}
PLAIN_ONE_IN = 16
ENVIRONMENT = {
    # records become known at the simulated time at which they are sent
    "TWINSTREAM_CLOCK": "replay",
    # a week more of data is no reason for another training set in the middle of the demo
    "TWINSTREAM_BATCH_TRAINING_GROWTH": "0.1",
    # the first quiet days of October alone are no judgement of a model,
    "TWINSTREAM_MONITOR_MIN_LABELLED": "8000",
    # nor anything to call the days after them a drift from: flights have a weekly rhythm
    "TWINSTREAM_MONITOR_REFERENCE": "10000",
}
READY_S, EPOCH_S, TRAINING_S, FILES_S = 300, 900, 900, 120


class Mesh:
    """A running embedded mesh, as a user of the demo sees it."""

    def __init__(self, embedded: EmbeddedMesh) -> None:
        self.embedded = embedded
        self.settings: MeshSettings = embedded.settings
        self.pipeline: Pipeline = load(self.settings.pipeline)
        self.store = ObjectStore(self.settings)
        self.predict_address = embedded.addresses["predict"]
        self._publisher = EventPublisher(self.settings, source="/demo")
        self._memory = MemoryWatch(embedded)

    def publish(self, files: dict[str, list[Path]]) -> None:
        """Puts files on S3, announces them, and waits until ingest accepted every one."""
        for source, paths in files.items():
            refs = [self._put(source, path) for path in paths]
            self._publisher.publish(
                DataArrived(
                    source=source,
                    files=refs,
                    format=FORMATS[paths[0].suffix],
                    arrived_at_us=now_us(),
                )
            )
        wanted = sum(len(paths) for paths in files.values())
        self._wait(
            FileAccepted, lambda seen: len(seen) >= wanted, FILES_S, f"{wanted} files accepted"
        )

    def _put(self, source: str, path: Path) -> FileRef:
        data, key = path.read_bytes(), f"{source}/{path.name}"
        version = self.store.put(self.settings.raw_bucket, key, data)
        return FileRef(
            uri=f"s3://{self.settings.raw_bucket}/{key}",
            sha256=hashlib.sha256(data).hexdigest(),
            version_id=version or "",
            size_bytes=len(data),
        )

    def seal(self, *, wait: bool) -> None:
        """Asks for the end of the epoch; with `wait` returns when its training sets are
        published.
        """
        before = {event.epoch for event in self.events(TrainingSetPublished)}
        self._publisher.publish(SealRequested(reason="demo", requested_at_us=now_us()))
        if wait:
            self._wait(
                TrainingSetPublished,
                lambda seen: {e.epoch for e in seen} > before,
                EPOCH_S,
                "epoch sealed and folded",
            )

    def wait_for_epoch(self, epoch: int) -> None:
        """Until every view's base of `epoch` is published and the predictor answers at it."""
        views = {view.name for view in self.pipeline.views}
        self._wait(
            ViewPublished,
            lambda seen: {e.view for e in seen if e.epoch >= epoch} >= views,
            EPOCH_S,
            f"epoch {epoch} published",
        )

    def wait_for_model(self, model: str) -> ModelPromoted:
        """Until a model is promoted; raises MeshError when the one trained was not good enough."""
        seen = self._wait(
            (ModelPromoted, ModelRejected),
            lambda seen: any(e.model == model for e in seen),
            TRAINING_S,
            "a model promoted",
        )
        last = [e for e in seen if e.model == model][-1]
        if isinstance(last, ModelRejected):
            raise MeshError(f"the trained model of {model!r} was rejected: {last.reason}")
        return last

    def audit(self) -> Audit:
        """Every key of every view against a from-scratch fold of everything."""
        return audit(self.settings, self.predict_address, plain_one_in=PLAIN_ONE_IN)

    def peak_memory_mb(self) -> dict[str, float]:
        """Highest proportional memory of each process tree so far, and of all together at one
        moment.
        """
        return self._memory.peaks()

    def events(self, kinds: type[Event] | tuple[type[Event], ...]) -> list:
        """All events of these kinds so far."""
        kinds = kinds if isinstance(kinds, tuple) else (kinds,)
        with EventReader(self.settings, sorted({topic_of(kind) for kind in kinds})) as reader:
            return [event for event, _ in reader.read_to_end() if isinstance(event, kinds)]

    def _wait(
        self,
        kinds: type[Event] | tuple[type[Event], ...],
        reached: Callable[[list], bool],
        bound_s: float,
        what: str,
    ) -> list:
        kinds = kinds if isinstance(kinds, tuple) else (kinds,)
        give_up, seen = time.monotonic() + bound_s, []
        with EventReader(self.settings, sorted({topic_of(kind) for kind in kinds})) as reader:
            while not reached(seen):
                if time.monotonic() > give_up:
                    raise MeshError(
                        f"not {what} within {bound_s:.0f} s: look into {self.settings.data}/logs"
                    )
                found = reader.poll(0.2)
                if found is not None and isinstance(found[0], kinds):
                    seen.append(found[0])
        return seen

    def close(self) -> None:
        """Ends what watches the mesh, not the mesh."""
        self._memory.stop()
        self._publisher.close()
        del self._publisher  # a client that outlives its broker complains


class MemoryWatch:
    """Samples proportional set size of the mesh's processes and their children every two
    seconds.
    """

    def __init__(self, embedded: EmbeddedMesh) -> None:
        self._embedded, self._peaks, self._done = embedded, {}, threading.Event()
        self._thread = threading.Thread(target=self._run, name="memory", daemon=True)
        self._thread.start()

    def peaks(self) -> dict[str, float]:
        return {name: round(value / 2**20, 1) for name, value in sorted(self._peaks.items())}

    def stop(self) -> None:
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._done.wait(2.0):
            sizes = {
                name: _tree_bytes(child.pid)
                for name, child in self._embedded.supervisor.children.items()
            }
            sizes["total"] = sum(sizes.values())
            self._peaks = {
                name: max(size, self._peaks.get(name, 0)) for name, size in sizes.items()
            }


def _tree_bytes(pid: int | None) -> int:
    """Proportional set size of a process and its descendants; one that ended meanwhile counts 0."""
    try:
        tree = (
            []
            if pid is None
            else [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        )
    except psutil.NoSuchProcess:
        return 0
    return sum(map(_bytes_of, tree))


def _bytes_of(process: psutil.Process) -> int:
    try:
        return process.memory_full_info().pss
    except psutil.NoSuchProcess:
        return 0


def now_us() -> int:
    """UTC microseconds since 1970."""
    return time.time_ns() // 1000


@contextmanager
def running_mesh(
    data: Path,
    pipeline: Path,
    phases: Callable[[str, str], AbstractContextManager[None]],
    *,
    keep_up: bool,
) -> Iterator[Mesh]:
    """The embedded mesh with a replay clock, in a fresh folder; ended on the way out,
    or when Enter is pressed with `keep_up`.
    """
    embedded = EmbeddedMesh(data, pipeline, ALL, env=ENVIRONMENT)
    with phases("up", "starting Kafka, S3, Hive and the services"):
        embedded.start()
    mesh = None
    try:
        with phases("ready", "waiting until all of them serve"):
            embedded.wait_ready(READY_S)
        mesh = Mesh(embedded)
        yield mesh
        if keep_up:
            input(
                f"The mesh is up: dashboard at {embedded.addresses['monitor']}. "
                "Press Enter to end it. "
            )
    finally:
        if mesh is not None:
            mesh.close()
        embedded.stop()
