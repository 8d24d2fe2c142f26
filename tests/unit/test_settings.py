"""Settings come from the environment, and a wrong one is refused by its name."""

from __future__ import annotations

import pytest

from twinstream.errors import SettingsError
from twinstream.mesh.settings import ENVIRONMENT, MeshSettings

PIPELINE = {"TWINSTREAM_PIPELINE": "pipeline.py"}


def test_defaults_hold_when_only_the_pipeline_is_given() -> None:
    settings = MeshSettings.from_env(PIPELINE)
    assert (settings.kafka, settings.partitions, settings.clock, settings.external) == (
        "127.0.0.1:9092",
        2,
        "wall",
        False,
    )


def test_every_field_has_a_variable() -> None:
    assert set(ENVIRONMENT) == set(MeshSettings.__struct_fields__)


def test_settings_are_equal_when_read_from_their_own_environment() -> None:
    settings = MeshSettings(
        pipeline="p.py",
        partitions=7,
        clock="replay",
        external=True,
        seal_every_s=1.5,
        kafka_options="security.protocol=SSL",
    )
    assert MeshSettings.from_env(settings.to_env()) == settings


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("TWINSTREAM_PARTITIONS", "two"),
        ("TWINSTREAM_CLOCK", "sundial"),
        ("TWINSTREAM_SEAL_EVERY_S", "often"),
    ],
)
def test_the_variable_is_named_when_its_value_is_wrong(variable: str, value: str) -> None:
    with pytest.raises(SettingsError, match=variable):
        MeshSettings.from_env({**PIPELINE, variable: value})


def test_the_pipeline_is_asked_for_when_it_is_missing() -> None:
    with pytest.raises(SettingsError, match="TWINSTREAM_PIPELINE"):
        MeshSettings.from_env({})


def test_an_empty_variable_counts_as_not_set() -> None:
    assert MeshSettings.from_env({**PIPELINE, "TWINSTREAM_PARTITIONS": ""}).partitions == 2


def test_kafka_options_reach_the_client_with_dots() -> None:
    settings = MeshSettings(
        pipeline="p", kafka="k:1", kafka_options="security.protocol=SASL_SSL;sasl.password=a=b"
    )
    assert settings.kafka_client(enable_idempotence=True, log_level=0) == {
        "bootstrap.servers": "k:1",
        "security.protocol": "SASL_SSL",
        "sasl.password": "a=b",
        "enable.idempotence": True,
        "log_level": 0,
    }
