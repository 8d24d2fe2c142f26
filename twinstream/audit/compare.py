"""Compares the states that the serving views hold with the fold of everything, key by key, byte by byte."""

from __future__ import annotations

import concurrent.futures
import json
import multiprocessing
import struct
import urllib.request
import zlib
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pyarrow as pa

from schemas.events import FileAccepted, ViewPublished
from schemas.topics import topic_of
from twinstream.algebra import kernel, keys, layout
from twinstream.algebra.fold import fold
from twinstream.algebra.plan import ViewPlan
from twinstream.algebra.state import StateBatch
from twinstream.audit.everything import Known, counts_of, file_records, log_records, without_duplicates
from twinstream.mesh.events import EventReader
from twinstream.mesh.object_store import ObjectStore
from twinstream.mesh.pipeline_file import load

if TYPE_CHECKING:
    from twinstream.define import Pipeline, Source, View
    from twinstream.mesh.settings import MeshSettings

_LENGTH = struct.Struct("<q")


class Served(msgspec.Struct, frozen=True):
    """All states of one partition of a serving view, and the position at which they were read, in one transaction."""

    view: str
    partition: int
    epoch: int
    log: dict[int, int]
    complete_since: dict[int, int]
    states: dict[bytes, bytes]


class Difference(msgspec.Struct, frozen=True):
    """One key whose bytes differ; None: absent on that side."""

    view: str
    key: str
    served: str | None
    expected: str | None


class Audit(msgspec.Struct, frozen=True):
    """`compared` keys (of all views; a key on one side alone counts) and those of them that differ."""

    compared: int
    different: int
    by_view: dict[str, int]
    examples: list[Difference]


def fetch(address: str, view: str, partition: int) -> Served:
    """The states of one partition from the predictor's HTTP interface; `address` is `http://host:port`."""
    with urllib.request.urlopen(f"{address}/v1/views/{view}/states/{partition}", timeout=60) as answer:  # noqa: S310
        data = answer.read()
    (length,) = _LENGTH.unpack_from(data)
    head = json.loads(data[8 : 8 + length])
    batch = StateBatch.from_bytes(data[8 + length :])
    return Served(
        view, partition, head["epoch"], _int_keys(head["log"]), _int_keys(head["complete_since"]),
        dict(zip(batch.keys, batch.blobs(), strict=True)),
    )  # fmt: skip


def _int_keys(mapping: dict[str, int]) -> dict[int, int]:
    return {int(k): v for k, v in mapping.items()}


def prune(blob: bytes, complete_since: dict[int, int]) -> bytes:
    """The rows of a blob that lie in the part of time which the base keeps whole."""
    words = np.frombuffer(blob, dtype="<i8")
    kept, at = [], 0
    while at < len(words):
        row = words[at : at + int(words[at + 1])]
        hop, tile = layout.hop_and_tile(int(row[0]))
        if tile >= complete_since.get(hop, tile):
            kept.append(row)
        at += int(words[at + 1])
    return b"".join(row.tobytes() for row in kept)


def expected(view: View, known: list[Known], served: Served, partitions: int, plain_one_in: int = 1) -> dict[bytes, bytes]:
    """What one fold of all that `served` had seen gives, pruned alike.

    Every key by the compiled kernel, in one pass; of the keys one in `plain_one_in` by the plain oracle instead (1: all by it).
    """
    seen = [
        k for k in without_duplicates(known, served.epoch)
        if (k.epoch <= served.epoch if k.file_seq >= 0 else k.log_offset <= served.log.get(k.log_partition, -1))
    ]  # fmt: skip
    states = by_kernel(view, seen) if plain_one_in > 1 else {}
    states |= fold(view, ((k.record, k.position) for k in seen if _sampled(view, k.record, plain_one_in)))
    pruned = {
        key: prune(blob, served.complete_since) for key, blob in states.items() if keys.partition_of(key, partitions) == served.partition
    }
    return {key: blob for key, blob in pruned.items() if blob}


def by_kernel(view: View, seen: list[Known]) -> dict[bytes, bytes]:
    """One lift of all records at once."""
    batch = pa.RecordBatch.from_pylist([k.record for k in seen], schema=view.source.schema)
    states = kernel.lift(ViewPlan(view), batch, np.array([k.position for k in seen], np.int64))
    return dict(zip(states.keys, states.blobs(), strict=True))


def _sampled(view: View, record: dict[str, object], one_in: int) -> bool:
    key = keys.encode([record[name] for name in view.by])
    return key is not None and zlib.crc32(key) % one_in == 0


def compare(served: Served, wanted: dict[bytes, bytes]) -> list[Difference]:
    """The keys whose bytes differ."""
    have = {key: blob for key, raw in served.states.items() if (blob := prune(raw, served.complete_since))}
    return [
        Difference(served.view, key.decode(errors="replace"), _hex(have.get(key)), _hex(wanted.get(key)))
        for key in sorted(have.keys() | wanted.keys())
        if have.get(key) != wanted.get(key)
    ]


def _hex(blob: bytes | None) -> str | None:
    return None if blob is None else blob.hex()


def _audit_view(settings: MeshSettings, address: str, view_name: str, plain_one_in: int) -> tuple[str, int, list[Difference]]:
    pipeline = load(settings.pipeline)
    view = pipeline.view(view_name)
    source = pipeline.source(view.source.name)
    accepted, published = manifests(settings, view_name)
    store = ObjectStore(settings)
    known = [*log_records(settings.kafka, source), *file_records(store, source, keys_of(pipeline, source), accepted, counts_of(published))]
    compared, differences = 0, []
    for partition in range(settings.partitions):
        served = fetch(address, view_name, partition)
        wanted = expected(view, known, served, settings.partitions, plain_one_in)
        differences.extend(compare(served, wanted))
        compared += len(served.states.keys() | wanted.keys())
    return view_name, compared, differences


def keys_of(pipeline: Pipeline, source: Source) -> list[tuple[str, ...]]:
    """The keys of all views over a source."""
    return [view.by for view in pipeline.views if view.source.name == source.name]


def manifests(settings: MeshSettings, view: str) -> tuple[list[FileAccepted], list[ViewPublished]]:
    accepted: list[FileAccepted] = []
    published: list[ViewPublished] = []
    reader = EventReader(settings, [topic_of(FileAccepted), topic_of(ViewPublished)])
    while not reader.at_end():
        polled = reader.poll(1.0)
        event = polled[0] if polled is not None else None
        if isinstance(event, FileAccepted):
            accepted.append(event)
        elif isinstance(event, ViewPublished) and event.view == view:
            published.append(event)
    reader.close()
    return accepted, published


def audit(settings: MeshSettings, address: str, *, processes: int = 2, plain_one_in: int = 1) -> Audit:
    """Compares every key of every view; the log may still grow meanwhile: each partition is compared at its own position.

    The plain oracle folds one key in `plain_one_in`, the compiled kernel the others, each in one pass over everything.
    """
    names = [view.name for view in load(settings.pipeline).views]
    n = len(names)
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(processes, mp_context=context) as pool:
        results = list(pool.map(_audit_view, [settings] * n, [address] * n, names, [plain_one_in] * n))
    differences = [difference for _, _, found in results for difference in found]
    return Audit(
        compared=sum(compared for _, compared, _ in results), different=len(differences),
        by_view={name: compared for name, compared, _ in results}, examples=differences[:10],
    )  # fmt: skip
