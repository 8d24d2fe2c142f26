"""Documents that one service writes and another reads keep their form, byte for byte.

`python -m tests.contract.test_documents` writes the files of documents that have none yet.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deploy.local.processes import Ref
from deploy.local.state import MeshState, ServiceState
from twinstream.features.inputs import Inputs
from twinstream.mesh.heartbeat import Beat
from twinstream.nn.files import ModelConfig
from twinstream.nn.target import Target
from twinstream.protocol.base_columns import BASE_SCHEMA
from twinstream.protocol.training_manifest import (
    ManifestColumn,
    ManifestFile,
    TrainingManifest,
)
from twinstream.protocol.training_split import Split
from twinstream.protocol.training_statistics import LabelSummary, Summary, TrainingStatistics

GOLDEN = Path(__file__).with_name("golden")
STATISTICS = TrainingStatistics(
    numeric={"n": Summary(count=3, nulls=1, mean=2.5, std=0.5, min=2.0, max=3.0, clipped=0)},
    categories={"country": ["at", "ch"]},
    sequences={"v.dwell": Summary()},
    label=LabelSummary(count=4, mean=0.25),
    split=Split(train_until_us=10, validation_until_us=20),
)
CONFIG = ModelConfig(
    model="m",
    network="twinstream.nn.tabular.TabularNetwork",
    arguments={"width": 8},
    inputs=Inputs(numeric=("n",), categorical=("country",), sequences=(("v.dwell", 2),)),
    statistics=msgspec.json.decode((GOLDEN / "statistics.json").read_bytes()),
    definition_digest="d",
    training_set_digest="t",
    epoch=3,
    training={"seed": 1},
    versions={"torch": "2"},
)
BEAT = Beat(name="ingest", pid=7, ready=True, lag=3, detail={"blocked": ""}, at_us=5)
MESH = MeshState(
    supervisor=Ref(pid=7, started=5),
    services={
        "ingest": ServiceState(
            state="up",
            pid=8,
            ready=True,
            lag=3,
            restarts=1,
            last_error="e",
            since_us=5,
            blocked="b",
        )
    },
    addresses={"kafka": "127.0.0.1:9092"},
    env={"TWINSTREAM_HTTP_HOST": "127.0.0.1"},
    ready=True,
    problem="p",
    fatal=True,
)
MANIFEST = TrainingManifest(
    pipeline="shop",
    model="m",
    epoch=3,
    as_of_us=30,
    definition_digest="d",
    digest="t",
    rows=4,
    first_at_us=1,
    last_at_us=25,
    split=Split(train_until_us=10, validation_until_us=20),
    parts={"train": (0, 2), "validation": (2, 3), "test": (3, 4)},
    columns=[ManifestColumn(name="n", type="int64", nulls=1)],
    inputs=Inputs(numeric=("n",), categorical=("country",), sequences=(("v.dwell", 2),)),
    files=[ManifestFile(name="part-00000.parquet", sha256="s", size_bytes=100, rows=4)],
)
DOCUMENTS: dict[str, msgspec.Struct] = {
    "training_manifest": MANIFEST,
    "statistics_of_a_purged_set": msgspec.structs.replace(
        STATISTICS, split=Split(train_until_us=10, validation_until_us=20, purged_us=5)
    ),
    "statistics": STATISTICS,
    "model_config": CONFIG,
    "model_config_of_numbers": msgspec.structs.replace(
        CONFIG, loss="mean_squared_error", target=Target(centre=2.5, scale=0.5)
    ),
    "model_config_of_calibrated_logits": msgspec.structs.replace(
        CONFIG, target=Target(scale=0.5), format=2
    ),
    "heartbeat": BEAT,
    "mesh": MESH,
}


WRITTEN = sorted(DOCUMENTS.keys() - {"model_config", "statistics"})
"""Of each kind the newest."""


def written(document: msgspec.Struct) -> bytes:
    return msgspec.json.format(msgspec.json.encode(document, order="sorted")) + b"\n"


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_of_release_0_1_is_read(name: str) -> None:
    data = (GOLDEN / f"{name}.json").read_bytes()
    assert msgspec.json.decode(data, type=type(DOCUMENTS[name])) == DOCUMENTS[name]


@pytest.mark.parametrize("name", WRITTEN)
def test_a_document_has_no_field_that_its_golden_file_lacks(name: str) -> None:
    """A new field needs a default, and a golden file of its own beside this one."""
    assert written(DOCUMENTS[name]) == (GOLDEN / f"{name}.json").read_bytes()


def test_a_base_file_has_the_columns_of_release_0_1() -> None:
    assert pq.read_schema(GOLDEN / "base.parquet").equals(BASE_SCHEMA)


def main() -> None:
    GOLDEN.mkdir(exist_ok=True)
    for name, document in DOCUMENTS.items():
        path = GOLDEN / f"{name}.json"
        if not path.exists():
            path.write_bytes(written(document))
    base: dict[str, Any] = {"key": [b"k"], "blob": [b"\x00" * 8]}
    if not (GOLDEN / "base.parquet").exists():
        pq.write_table(pa.table(base, schema=BASE_SCHEMA), GOLDEN / "base.parquet")


if __name__ == "__main__":
    main()
