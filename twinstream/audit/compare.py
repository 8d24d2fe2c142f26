"""Compares the states that the serving views hold with the fold of everything, key by key,
byte by byte.
"""

from __future__ import annotations

import concurrent.futures
import json
import multiprocessing
import struct
import time
import urllib.error
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.events import Event, FileAccepted, ViewPublished
from schemas.topics import topic_of
from twinstream.algebra import kernel, keys, layout
from twinstream.algebra.fold import fold
from twinstream.algebra.plan import ViewPlan
from twinstream.algebra.state import StateBatch
from twinstream.audit.everything import Known, counts_of, file_records, log_records, seen_at
from twinstream.audit.sample import Odd, Sampled, check
from twinstream.errors import NotRunningError
from twinstream.mesh.events import EventReader, pass_over
from twinstream.mesh.loopback import open_url
from twinstream.mesh.object_store import ObjectStore
from twinstream.mesh.pipeline_file import load

if TYPE_CHECKING:
    from twinstream.define import Pipeline, Source, View
    from twinstream.mesh.settings import MeshSettings
from twinstream.protocol.manifests import Manifests

_LENGTH = struct.Struct("<q")


class Served(msgspec.Struct, frozen=True):
    """All states of one partition of a serving view, and the position at which they were read,
    in one transaction.
    """

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
    """`compared` keys (of all views; a key on one side alone counts) and those of them that differ.

    `plain_compared` answers of some keys were computed the naive way as well;
    `plain_different` of them are not what a reader is given.
    """

    compared: int
    different: int
    by_view: dict[str, int]
    examples: list[Difference]
    different_by_view: dict[str, int] = {}
    plain_compared: int = 0
    plain_different: int = 0
    plain_examples: list[Odd] = []


class ViewAudit(msgspec.Struct, frozen=True):
    """What was found of one view."""

    compared: int
    differences: list[Difference]
    plain: Sampled

    def plus(self, other: ViewAudit) -> ViewAudit:
        """Both together."""
        return ViewAudit(
            self.compared + other.compared,
            self.differences + other.differences,
            self.plain.plus(other.plain),
        )


def fetch(
    address: str,
    view: str,
    partition: int,
) -> Served:
    """The states of one partition from the predictor's HTTP interface;
    `address` is `http://host:port`.

    Raises NotRunningError when it does not give them (urllib's own error could not be handed from
    process to process).
    """
    data = _states_of(address, view, partition)
    (length,) = _LENGTH.unpack_from(data)
    head = json.loads(data[8 : 8 + length])
    batch = StateBatch.from_bytes(data[8 + length :])
    return Served(
        view,
        partition,
        head["epoch"],
        _int_keys(head["log"]),
        _int_keys(head["complete_since"]),
        dict(zip(batch.keys, batch.blobs(), strict=True)),
    )


def _states_of(
    address: str,
    view: str,
    partition: int,
) -> bytes:
    try:
        with open_url(f"{address}/v1/views/{view}/states/{partition}", 60) as answer:
            return bytes(answer.read())
    except urllib.error.HTTPError as error:
        raise NotRunningError(
            f"view {view}, partition {partition}: "
            f"{error.read().decode(errors='replace').strip() or error}"
        ) from None
    except OSError as error:
        raise NotRunningError(f"the predictor at {address} does not answer: {error}") from None


def _int_keys(mapping: dict[str, int]) -> dict[int, int]:
    return {int(k): v for k, v in mapping.items()}


def prune(blob: bytes, complete_since: dict[int, int]) -> bytes:
    """The rows of a blob that lie in the part of time which the base keeps whole."""
    return b"".join(
        row.tobytes()
        for row in _rows_of(np.frombuffer(blob, dtype="<i8"))
        if _is_kept(int(row[0]), complete_since)
    )


def _rows_of(words: npt.NDArray[np.int64]) -> Iterator[npt.NDArray[np.int64]]:
    """Each row says its length in its second word."""
    at = 0
    while at < len(words):
        length = int(words[at + 1])
        yield words[at : at + length]
        at += length


def _is_kept(word: int, complete_since: dict[int, int]) -> bool:
    hop, tile = layout.hop_and_tile(word)
    return tile >= complete_since.get(hop, tile)


def expected(
    view: View,
    known: list[Known],
    served: Served,
    partitions: int,
    plain_one_in: int = 1,
) -> dict[bytes, bytes]:
    """What one fold of all that `served` had seen gives for its partition, pruned alike;
    see `folded`.
    """
    return _pruned(folded(view, known, served, plain_one_in), served, partitions)


def folded(
    view: View,
    known: list[Known],
    served: Served,
    plain_one_in: int = 1,
) -> dict[bytes, bytes]:
    """The fold of all that `served` had seen, of every partition.

    Every key by the compiled kernel, in one pass; of the keys one in `plain_one_in` by the plain
    oracle instead (1: all by it).
    """
    return _folded(view, seen_at(known, served.epoch, served.log), plain_one_in)


def _folded(
    view: View,
    seen: list[Known],
    plain_one_in: int,
) -> dict[bytes, bytes]:
    states = by_kernel(view, seen) if plain_one_in > 1 else {}
    return states | fold(
        view, ((k.record, k.position) for k in seen if _sampled(view, k.record, plain_one_in))
    )


def _pruned(
    states: dict[bytes, bytes],
    served: Served,
    partitions: int,
) -> dict[bytes, bytes]:
    mine = (key for key in states if keys.partition_of(key, partitions) == served.partition)
    return {key: blob for key in mine if (blob := prune(states[key], served.complete_since))}


def by_kernel(view: View, seen: list[Known]) -> dict[bytes, bytes]:
    """One lift of all records at once."""
    batch = pa.RecordBatch.from_pylist([k.record for k in seen], schema=view.source.schema)
    states = kernel.lift(ViewPlan(view), batch, np.array([k.position for k in seen], np.int64))
    return dict(zip(states.keys, states.blobs(), strict=True))


def _sampled(
    view: View,
    record: dict[str, object],
    one_in: int,
) -> bool:
    key = keys.encode([record[name] for name in view.by])
    return key is not None and zlib.crc32(key) % one_in == 0


def compare(served: Served, wanted: dict[bytes, bytes]) -> list[Difference]:
    """The keys whose bytes differ."""
    pruned = {key: prune(raw, served.complete_since) for key, raw in served.states.items()}
    have = {key: blob for key, blob in pruned.items() if blob}
    found = {key: (have.get(key), wanted.get(key)) for key in have.keys() | wanted.keys()}
    return [
        Difference(served.view, key.decode(errors="replace"), _hex(ours), _hex(theirs))
        for key, (ours, theirs) in sorted(found.items())
        if ours != theirs
    ]


def _hex(blob: bytes | None) -> str | None:
    return None if blob is None else blob.hex()


class _Fold(NamedTuple):
    """All rows that were seen at a position, and what they come to by key."""

    seen: list[Known]
    states: dict[bytes, bytes]


def _audit_source(
    settings: MeshSettings,
    address: str,
    source_name: str,
    plain_one_in: int,
) -> dict[str, ViewAudit]:
    """What was found of each view of a source."""
    pipeline = load(settings.pipeline)
    source = pipeline.source(source_name)
    views = [view for view in pipeline.views if view.source.name == source_name]
    served = {
        view.name: [fetch(address, view.name, p) for p in range(settings.partitions)]
        for view in views
    }  # before the log is read
    known = all_known(settings, source, keys_of(pipeline, source), views[0].name)
    return {view.name: _audit_view(view, known, served[view.name], plain_one_in) for view in views}


def all_known(
    settings: MeshSettings,
    source: Source,
    keys: list[tuple[str, ...]],
    view: str,
) -> list[Known]:
    """Every row of a source: of its log, then of the files that the epochs of a view hold."""
    accepted, published = manifests(settings, view)
    files = file_records(ObjectStore(settings), source, keys, accepted, counts_of(published))
    return [*log_records(settings, source), *files]


def _audit_view(
    view: View,
    known: list[Known],
    partitions: list[Served],
    plain_one_in: int,
) -> ViewAudit:
    found = ViewAudit(0, [], Sampled(0, []))
    folds: dict[object, _Fold] = {}
    for served in partitions:
        place = (served.epoch, tuple(sorted(served.log.items())))
        if place not in folds:  # at rest all partitions are at the same position
            seen = seen_at(known, served.epoch, served.log)
            folds[place] = _Fold(seen, _folded(view, seen, plain_one_in))
        found = found.plus(_audit_partition(view, served, folds[place], len(partitions)))
    return found


def _audit_partition(
    view: View,
    served: Served,
    fold_: _Fold,
    partitions: int,
) -> ViewAudit:
    wanted = _pruned(fold_.states, served, partitions)
    return ViewAudit(
        compared=len(served.states.keys() | wanted.keys()),
        differences=compare(served, wanted),
        plain=check(view, served, fold_.seen, partitions, time.time_ns() // 1000),
    )


def keys_of(pipeline: Pipeline, source: Source) -> list[tuple[str, ...]]:
    """The keys of all views over a source."""
    return [view.by for view in pipeline.views if view.source.name == source.name]


def manifests(
    settings: MeshSettings,
    view: str,
) -> tuple[dict[int, FileAccepted], list[ViewPublished]]:
    """Accepted files by number, without those that an epoch left out, and the publications of a
    view.
    """
    told = list(_believed(settings))
    published = [e for e, _ in told if isinstance(e, ViewPublished) and e.view == view]
    lacking = {number for event in published for number in event.left_out}
    accepted = {
        offset: event
        for event, offset in told
        if isinstance(event, FileAccepted) and offset not in lacking
    }
    return accepted, published


def _believed(settings: MeshSettings) -> Iterator[tuple[Event, int]]:
    """Events of files and of views that services believe, each with its offset."""
    believed = Manifests(load(settings.pipeline), settings.partitions, settings.bucket)
    topics = [topic_of(FileAccepted), topic_of(ViewPublished)]
    with EventReader(settings, topics, refused=pass_over, check=believed.refusal) as reader:
        for event, message in reader.read_to_end():
            yield event, message.offset()


def audit(
    settings: MeshSettings,
    address: str,
    *,
    processes: int = 2,
    plain_one_in: int = 1,
) -> Audit:
    """Compares every key of every view; the log may still grow meanwhile:
    each partition is compared at its own position.

    The plain oracle folds one key in `plain_one_in`, the compiled kernel the others,
    each in one pass over everything.
    """
    names = sorted({view.source.name for view in load(settings.pipeline).views})
    n = len(names)
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(processes, mp_context=context) as pool:
        by_source = list(
            pool.map(_audit_source, [settings] * n, [address] * n, names, [plain_one_in] * n)
        )
    return _together({view: found for each in by_source for view, found in each.items()})


def _together(results: dict[str, ViewAudit]) -> Audit:
    """One audit of what was found of each view."""
    differences = [difference for found in results.values() for difference in found.differences]
    wrong = [odd for found in results.values() for odd in found.plain.wrong]
    return Audit(
        compared=sum(found.compared for found in results.values()),
        different=len(differences),
        by_view={view: found.compared for view, found in results.items()},
        examples=differences[:10],
        different_by_view={view: len(found.differences) for view, found in results.items()},
        plain_compared=sum(found.plain.compared for found in results.values()),
        plain_different=len(wrong),
        plain_examples=wrong[:10],
    )
