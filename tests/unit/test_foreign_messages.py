"""What the mesh did not write into its own data topics covers nothing, for every reader alike."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.shop.pipeline import pipeline
from ingest_svc.log_state import LogState
from preprocess_svc.speed.chain import Link
from preprocess_svc.speed.folder import Folder
from schemas import packs, partials
from tests.unit.view.world import PARTITIONS, Pack, World
from twinstream.algebra.plan import ViewPlan

FOREIGN = (
    None,
    b"",
    b"x",
    b"\x00" * 95,
    b"\x00" * 96,
    b"{" * 500,
    packs.MAGIC.to_bytes(8, "little"),
)


@pytest.mark.parametrize("value", FOREIGN)
def test_foreign_message_of_the_log_is_a_pack_that_covers_nothing(value: bytes | None) -> None:
    assert packs.log_header(value) is packs.NOTHING
    before = LogState(next_offset=7, raw_high=5, known_max_us=3)
    assert before.after(7, packs.log_header(value)) == msgspec.structs.replace(
        before, next_offset=8
    )


@given(st.binary(max_size=300))
def test_bytes_without_the_magic_number_are_never_a_header(data: bytes) -> None:
    if not data.startswith(packs.MAGIC.to_bytes(8, "little")):
        assert packs.log_header(data) is packs.NOTHING
    if not data.startswith(partials.MAGIC.to_bytes(8, "little")):
        assert partials.header_of(data) is None


@pytest.mark.parametrize("value", FOREIGN)
def test_speed_layer_sends_markers_for_it_so_that_the_chain_goes_on(value: bytes | None) -> None:
    view = pipeline.view("spending")
    folder = Folder(view.source, [ViewPlan(view)], 0, 2, Link(3, 1, 9))
    rows, sent = folder.fold(value, 4, 0)
    assert rows == 0
    assert folder.at == Link(4, 1, 9)
    headers = [partials.decode_header(partial.value) for partial in sent]
    assert {(h.previous, h.origin_offset, h.raw_high, h.keys) for h in headers} == {(3, 4, 9, 0)}


def test_view_equals_the_fold_with_foreign_messages_in_log_and_partials(tmp_path: Path) -> None:
    world = World(tmp_path)
    for epoch in (1, 2):
        for partition in range(PARTITIONS):
            world.log.pack(partition, 9)
            world.log.messages[partition].append(Pack(b"foreign"))
            world.log.pack(partition, 5, again=3)
            world.log.barrier(partition, epoch)
            world.fold(partition)
            world.topic[partition].insert(len(world.topic[partition]) // 2, b"foreign")
        world.publish()
        for partition in range(PARTITIONS):
            world.apply(partition)
            world.land(partition)
    world.check()
    world.close()


def test_pack_of_a_foreign_message_has_no_rows() -> None:
    schema = packs.pack_schema([pa.field("name", pa.string())])
    assert packs.NOTHING.rows == 0
    assert packs.decode_rows(packs.encode_pack(packs.NOTHING, None), schema).num_rows == 0
