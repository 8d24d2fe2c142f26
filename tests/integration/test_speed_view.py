"""Speed and view as processes on a real broker: killed, emptied and given wrong bases,
they serve what the fold gives.
"""

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from deploy.local.mesh import EmbeddedMesh
from examples.shop.pipeline import pipeline
from schemas.events import Cut
from tests.integration.seam_rig import VIEWS, SeamRig
from tests.unit.view.world import PARTITIONS
from twinstream.algebra import kernel
from twinstream.algebra.plan import ViewPlan
from twinstream.mesh.events import EventPublisher

pytestmark = pytest.mark.engine
SHOP = Path(__file__).parents[2] / "examples" / "shop" / "pipeline.py"


@pytest.fixture(scope="module", params=["faust", "confluent"])
def rig(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[SeamRig]:
    env = {
        "TWINSTREAM_CARRIER": request.param,
        "TWINSTREAM_VIEW_MAP_GIB": "1",
        "TWINSTREAM_VIEW_BASE_RETRY_S": "0.5",
    }
    kernel.warm_up(
        ViewPlan(pipeline.view("spending"))
    )  # compiled once here rather than in both processes
    mesh = EmbeddedMesh(
        tmp_path_factory.mktemp("seam"),
        SHOP,
        services=["speed", "view"],
        engines=["kafka", "s3"],
        env=env,
    ).start()
    try:
        yield SeamRig(mesh.wait_ready(240.0))
    finally:
        mesh.stop()


def write(rig: SeamRig, packs: int) -> None:
    for _ in range(packs):
        for partition in range(PARTITIONS):
            rig.log.pack(partition, 5, again=1)
    rig.send()


def test_views_equal_the_fold_when_workers_are_killed(rig: SeamRig) -> None:
    dice = random.Random(3)
    for name in ("speed", "view", "speed", "view"):
        write(rig, dice.randrange(1, 30))
        pid = rig.mesh.kill(name)
        write(rig, dice.randrange(1, 30))
        rig.mesh.wait_replaced(name, pid)
    assert rig.check() > len(VIEWS)


def test_base_lands_under_traffic_and_a_corrupt_one_is_refused(rig: SeamRig) -> None:
    write(rig, 3)
    for partition in range(PARTITIONS):
        rig.log.barrier(partition, 1)
    write(rig, 3)
    good = rig.publish(1, "spending")
    wrong = rig.publish(1, "by-country", corrupt=True)
    write(rig, 3)
    rig.wait(lambda: rig.readers["spending"].bases() >= {good.epoch}, "base landed")
    rig.wait(lambda: "base_refused" in rig.mesh.log("view"), "refusal told")
    assert rig.readers["by-country"].bases() == {0}
    rig.check()
    rig.repair(wrong)
    rig.wait(lambda: 1 in rig.readers["by-country"].bases(), "repaired base landed")
    rig.check()


def test_views_are_whole_again_when_their_folder_was_deleted(rig: SeamRig) -> None:
    write(rig, 2)
    rig.mesh.stop_one("view")
    shutil.rmtree(Path(rig.mesh.settings.data) / "view")
    write(rig, 2)
    rig.mesh.start_one("view")
    assert rig.check() > len(VIEWS)
    assert rig.readers["spending"].bases() == {1}


def test_view_whose_partials_expired_is_not_ready_before_speed_folded_them_again(
    rig: SeamRig,
) -> None:
    write(rig, 2)
    rig.check()
    rig.mesh.stop_one("view")
    shutil.rmtree(Path(rig.mesh.settings.data) / "view")
    rig.expire_partials()
    rig.mesh.start_one("view")
    assert all(
        at.log == {p: n - 1 for p, n in enumerate(rig.sent)}
        for at in rig.readers["by-country"].positions().values()
    )
    assert rig.check() > len(VIEWS)


def test_read_waits_for_the_position_asked_for(rig: SeamRig) -> None:
    write(rig, 1)
    reader = rig.readers["spending"]
    raw = {
        p: max(r for m in messages for r, _ in m.rows)
        for p, messages in enumerate(rig.log.messages)
    }
    reader.wait_for(raw, 30.0)
    assert all(at.raw == raw for at in reader.positions().values())


def test_workers_take_a_backlog_that_is_larger_than_their_buffers(rig: SeamRig) -> None:
    rig.mesh.stop_one("view")
    rig.mesh.stop_one("speed")
    write(rig, 1500)
    restarts = {name: rig.mesh.child(name).restarts for name in ("speed", "view")}
    for name in restarts:
        rig.mesh.start_one(name)
    assert rig.check() > len(VIEWS)
    assert restarts == {name: rig.mesh.child(name).restarts for name in restarts}


def test_a_manifest_that_lies_costs_no_record_and_the_right_one_lands(rig: SeamRig) -> None:
    for partition in range(PARTITIONS):
        rig.log.barrier(partition, 2)
    write(rig, 2)
    good, *_ = (rig.publish(2, view) for view in VIEWS)
    rig.wait(lambda: 2 in rig.readers[good.view].bases(), "base landed")
    ahead = {partition: Cut(offset=10**6, raw_high=10**6) for partition in range(PARTITIONS)}
    torn = [msgspec.structs.replace(file, sha256="0" * 64) for file in good.files]
    lie = msgspec.structs.replace(good, epoch=3, cut=ahead, cuts={"orders": ahead}, files=torn)
    refused = rig.mesh.log("view").count("base_refused")
    EventPublisher(rig.mesh.settings, "/test").publish(lie, key=good.view)
    rig.wait(lambda: rig.mesh.log("view").count("base_refused") > refused, "lie refused")
    pid = rig.mesh.kill("speed")
    write(rig, 3)
    rig.mesh.wait_replaced("speed", pid)
    rig.check()
    for partition in range(PARTITIONS):
        rig.log.barrier(partition, 3)
    write(rig, 1)
    for view in VIEWS:
        rig.publish(3, view)
    rig.wait(lambda: all(3 in rig.readers[view].bases() for view in VIEWS), "the right base landed")
    rig.check()
