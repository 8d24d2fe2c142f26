"""Every service reads its knobs in one way."""

from __future__ import annotations

import pytest

from ingest_svc.settings import IngestSettings
from monitor_svc.settings import MonitorSettings
from predict_svc.api.settings import PredictSettings
from predict_svc.view.settings import ViewSettings
from preprocess_svc.batch.settings import BatchSettings
from preprocess_svc.speed.settings import SpeedSettings
from train_svc.settings import TrainSettings
from twinstream.errors import SettingsError
from twinstream.mesh.knobs import Knobs

ALL: tuple[type[Knobs], ...] = (
    IngestSettings,
    SpeedSettings,
    BatchSettings,
    ViewSettings,
    PredictSettings,
    TrainSettings,
    MonitorSettings,
)


@pytest.mark.parametrize("knobs", ALL)
def test_nothing_set_is_every_default_and_an_empty_variable_is_not_set(knobs: type[Knobs]) -> None:
    assert (
        knobs.from_env({})
        == knobs()
        == knobs.from_env({knobs.PREFIX + name.upper(): "" for name in knobs.__struct_fields__})
    )


@pytest.mark.parametrize("knobs", ALL)
def test_the_variable_that_is_wrong_is_named(knobs: type[Knobs]) -> None:
    number = next(
        field
        for field in knobs.__struct_fields__
        if isinstance(getattr(knobs(), field), (int, float))
    )
    name = knobs.PREFIX + number.upper()
    with pytest.raises(SettingsError, match=name):
        knobs.from_env({name: "many"})


def test_a_field_of_its_own_comes_before_the_one_of_the_mesh() -> None:
    assert ViewSettings.from_env({"TWINSTREAM_INSTANCE": "2"}).instance == "2"
    assert (
        ViewSettings.from_env(
            {"TWINSTREAM_INSTANCE": "2", "TWINSTREAM_VIEW_INSTANCE": "3"}
        ).instance
        == "3"
    )
    assert BatchSettings.from_env({"TWINSTREAM_SPARK_JARS": "/jars"}).jars == "/jars"


def test_a_bound_of_a_knob_is_kept() -> None:
    with pytest.raises(SettingsError, match="TWINSTREAM_BATCH_KEEP_EPOCHS"):
        BatchSettings.from_env({"TWINSTREAM_BATCH_KEEP_EPOCHS": "1"})
