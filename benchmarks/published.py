"""What the batch layer does at the end of an epoch, without Spark:
barriers asked for, a base of made-up keys on S3, and its event.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from benchmarks.stores import HOUR_US, OLD_RECORDS, SLICE, states
from predict_svc.view.reader import ViewReader
from preprocess_svc.batch.folding.base_file import BaseWriter
from preprocess_svc.batch.folding.pruning import complete_since, prune
from schemas.events import Cut, EpochSealed, EpochSealRequested, FileRef, ViewPublished
from schemas.topics import base_prefix, topic_of
from twinstream.algebra import kernel
from twinstream.algebra.plan import ViewPlan
from twinstream.algebra.state import StateBatch
from twinstream.mesh.events import EventPublisher, EventReader
from twinstream.mesh.object_store import ObjectStore, sha256_of
from twinstream.mesh.pipeline_file import load
from twinstream.mesh.settings import MeshSettings

BOUND_S = 60.0


class PublishedBase(NamedTuple):
    """When the event was published, the files' size, and the states of every n-th key."""

    published_at: float
    size_bytes: int
    records_a_key: int
    states: dict[bytes, bytes]


def seal(settings: MeshSettings, source: str, epoch: int) -> dict[int, Cut]:
    """Asks ingest for the end of an epoch; returns the cut of one source."""
    EventPublisher(settings, "/benchmarks").publish(
        EpochSealRequested(epoch=epoch, requested_at_us=time.time_ns() // 1000), key=str(epoch)
    )
    cut: dict[int, Cut] = {}
    give_up = time.monotonic() + BOUND_S
    with EventReader(settings, [topic_of(EpochSealed)]) as reader:
        while len(cut) < settings.partitions:
            assert time.monotonic() < give_up, f"epoch {epoch} was not sealed within {BOUND_S} s"
            found = reader.poll(0.1)
            if (
                found is not None
                and isinstance(found[0], EpochSealed)
                and (found[0].source, found[0].epoch) == (source, epoch)
            ):
                cut[found[0].partition] = Cut(offset=found[0].offset, raw_high=found[0].raw_high)
    return cut


def publish_base(
    settings: MeshSettings, plan: ViewPlan, n_keys: int, cut: dict[int, Cut], every: int
) -> PublishedBase:
    """A base of epoch 1 with `n_keys` keys, cut by partition as the batch layer does."""
    pipeline, kept, as_of_us = load(settings.pipeline), dict[bytes, bytes](), time.time_ns() // 1000
    since = complete_since(plan, as_of_us)
    with tempfile.TemporaryDirectory(prefix="twinstream-base-") as folder:
        paths = [Path(folder) / f"{p}.parquet" for p in range(settings.partitions)]
        _write(
            paths,
            _kept(
                every,
                kept,
                (prune(part, since) for part in _slices(plan, n_keys, as_of_us - HOUR_US)),
            ),
        )
        prefix = f"s3://{settings.bucket}/{base_prefix(pipeline.name, plan.view.name, 1)}"
        files = [
            _upload(ObjectStore(settings), path, f"{prefix}/{path.name}", p)
            for p, path in enumerate(paths)
        ]
    event = ViewPublished(
        view=plan.view.name,
        source=plan.view.source.name,
        epoch=1,
        cut=cut,
        cuts={plan.view.source.name: cut},
        files=files,
        definition_digest=pipeline.digest,
        as_of_us=as_of_us,
        complete_since=since,
    )
    published_at = time.perf_counter()
    EventPublisher(settings, "/benchmarks").publish(event, key=plan.view.name)
    return PublishedBase(published_at, sum(file.size_bytes for file in files), OLD_RECORDS, kept)


def readable(reader: ViewReader) -> int:
    """Raw records that every partition of a view has behind it."""
    positions = reader.positions()
    return sum(min(at.raw.get(p, -1) for at in positions.values()) + 1 for p in positions)


def _slices(plan: ViewPlan, n_keys: int, until_us: int) -> Iterator[StateBatch]:
    for start in range(0, n_keys, SLICE):
        yield states(
            plan.view,
            plan,
            range(start, min(start + SLICE, n_keys)),
            OLD_RECORDS,
            until_us - 720 * HOUR_US,
            until_us,
        )


def _kept(
    every: int, kept: dict[bytes, bytes], parts: Iterable[StateBatch]
) -> Iterator[StateBatch]:
    """The same parts; the states of every n-th key are noted."""
    seen = 0
    for part in parts:
        keys = part.keys
        kept.update({keys[i]: part.blob(i) for i in range(-seen % every, len(part), every)})
        seen += len(part)
        yield part


def _write(paths: list[Path], slices: Iterator[StateBatch]) -> None:
    with ExitStack() as stack:
        writers = [stack.enter_context(BaseWriter(path)) for path in paths]
        for part in slices:
            for writer, mine in zip(writers, kernel.by_partition(part, len(paths)), strict=True):
                writer.write(mine)


def _upload(store: ObjectStore, path: Path, uri: str, partition: int) -> FileRef:
    store.upload(path, uri)
    return FileRef(
        uri=uri, sha256=sha256_of(path), size_bytes=path.stat().st_size, partition=partition
    )
