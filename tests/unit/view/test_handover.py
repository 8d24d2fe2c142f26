"""What holds while a partition goes from one worker of a host to another."""

from pathlib import Path

import pytest

from examples.shop.pipeline import pipeline
from predict_svc.view.errors import BaseGoneError
from predict_svc.view.layout import Base
from predict_svc.view.opening import open_store
from predict_svc.view.settings import ViewSettings
from preprocess_svc.speed.settings import SpeedSettings
from twinstream.algebra.plan import ViewPlan


def test_a_base_that_another_worker_removed_is_not_landed(tmp_path: Path) -> None:
    store = open_store(tmp_path / "0", ViewPlan(pipeline.view("spending")), ViewSettings(map_gib=1))
    with pytest.raises(BaseGoneError, match="base-00000001"):
        store.land(Base(epoch=1, file="base-00000001.lmdb"))
    assert [base.epoch for base in store.layout().bases] == [0]
    (tmp_path / "0" / "base-00000001.lmdb").write_bytes(b"")
    store.land(Base(epoch=1, file="base-00000001.lmdb"))
    assert store.layout().newest.epoch == 1
    store.close()


@pytest.mark.parametrize("settings", [ViewSettings, SpeedSettings])
def test_a_second_worker_of_a_mesh_has_a_name_of_its_own(
    settings: type[ViewSettings] | type[SpeedSettings],
) -> None:
    assert settings.from_env({}).instance == "1"
    assert settings.from_env({"TWINSTREAM_INSTANCE": "2"}).instance == "2"
