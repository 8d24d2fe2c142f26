"""An empty string is a value, and so a key: from speed states and from a base alike."""

from pathlib import Path

import numpy as np
import pytest

from tests.unit.view.engines import ENGINES
from tests.unit.view.world import NOW_US, PARTITIONS, World


@pytest.mark.parametrize("engine", ENGINES)
def test_the_empty_key_is_served_from_base_and_speed(tmp_path: Path, engine: str) -> None:
    world = World(tmp_path, "by-country", engine=engine)
    for partition in range(PARTITIONS):
        world.log.pack(partition, 40)
        world.log.barrier(partition, 1)
        world.log.pack(partition, 10)
        world.fold(partition)
        world.apply(partition)
    asked = [b"NO", b"", b"nobody"]
    before, _ = world.reader.read_many(asked, [NOW_US] * len(asked))
    assert not np.isnan(before[1]).all()
    assert world.publish() is not None
    for partition in range(PARTITIONS):
        world.land(partition)
    assert world.reader.bases() == {0, 1}
    world.check()
    after, _ = world.reader.read_many(asked, [NOW_US] * len(asked))
    np.testing.assert_array_equal(after, before)
    for key, row in zip(asked, after, strict=True):
        np.testing.assert_array_equal(world.reader.read(key, NOW_US)[0], row)
    world.close()
