"""What fresh features are worth: the promoted model beside two that are trained alike,
without views and with last midnight's views.
"""

from __future__ import annotations

import hashlib
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime, timedelta
from io import BytesIO
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pa_parquet

from examples.flights import data as flights
from examples.flights.live import Answer, Moment
from examples.flights.steps import Mesh
from schemas.events import ModelPromoted, TrainingSetPublished
from train_svc import evaluation, scores, training
from train_svc.calibration import calibrated_unit
from train_svc.rows import rows_of, split_of
from train_svc.training import TrainingConfig
from twinstream.algebra.pit import Events, Spine, point_in_time
from twinstream.algebra.plan import ViewPlan
from twinstream.define.record_keys import key_text
from twinstream.define.records import Decoder
from twinstream.features.inputs import Inputs
from twinstream.features.request import outputs
from twinstream.nn.digest import CONFIG
from twinstream.nn.files import read_config
from twinstream.protocol.training_columns import ID, LABEL

if TYPE_CHECKING:
    from twinstream.define import Model, Source, View

NEW_YORK = ZoneInfo("America/New_York")
NAMES = ("request_only", "batch", "live")
Table = pa.Table


class Compared(msgspec.Struct, frozen=True):
    """Labels and the probabilities of each variant, for every flight asked about live;
    `day` is the local date.
    """

    label: np.ndarray
    day: list[str]
    probability: dict[str, np.ndarray]

    def figures(self) -> dict[str, Any]:
        """AUC and log loss, overall and by day, and the calibration of the live model."""
        found = {name: scores.binary(self.label, self.probability[name]) for name in NAMES}
        return {
            "auc": {name: round(found[name]["auc"], 4) for name in NAMES},
            "log_loss": {name: round(found[name]["log_loss"], 4) for name in NAMES},
            "late_share": round(found["live"]["base_rate"], 4),
            "auc_by_day": self._by_day(),
            "calibration": self._calibration(),
        }

    def _by_day(self) -> list[dict[str, Any]]:
        days = np.array(self.day)
        rows = []
        for day in sorted(set(self.day)):
            mine = days == day
            if 0 < self.label[mine].sum() < mine.sum():
                rows.append(
                    {"day": day, "n": int(mine.sum())}
                    | {
                        name: round(scores.auc(self.label[mine], self.probability[name][mine]), 4)
                        for name in NAMES
                    }
                )
        return rows

    def _calibration(self) -> list[dict[str, float]]:
        tenth = np.minimum((self.probability["live"] * 10).astype(int), 9)
        return [
            {
                "score": round(float(self.probability["live"][tenth == t].mean()), 4),
                "observed": round(float(self.label[tenth == t].mean()), 4),
                "n": int((tenth == t).sum()),
            }
            for t in range(10)
            if (tenth == t).any()
        ]


def compare(mesh: Mesh, model_name: str, moments: list[Moment], answers: list[Answer]) -> Compared:
    """Trains the two variants on the first epoch's training set, and asks all three about the live
    flights.
    """
    model = mesh.pipeline.model(model_name)
    table, statistics = training_set(mesh, model_name)
    config = msgspec.structs.replace(
        promoted_config(mesh, model_name), threads=1
    )  # two are trained side by side
    rows = [row for moment in moments for row in moment.rows]
    spine = midnight_table(model)
    places = {flight: i for i, flight in enumerate(spine[ID].to_pylist())}
    live = spine.take(pa.array([places[row["flight_id"]] for row in rows]))
    views = [name for name in spine.column_names if "." in name]
    trained = table.drop_columns(views).append_column(
        "_place", pa.array([places[i] for i in table[ID].to_pylist()])
    )
    at_midnight = pa.table(
        {
            **{n: trained[n] for n in trained.column_names},
            **{n: spine[n].take(trained["_place"]) for n in views},
        }
    )
    inputs = Inputs.of(model.inputs)
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        request_only = pool.submit(
            trained_alike,
            table.drop_columns(views),
            inputs.request_only(),
            statistics,
            config,
            live.drop_columns(views),
        )
        batch = pool.submit(trained_alike, at_midnight, inputs, statistics, config, live)
    return Compared(
        np.array([flights.late()[row["flight_id"]] for row in rows], float),
        [local_day(moment.at_us) for moment in moments for _ in moment.rows],
        {
            "request_only": request_only.result(),
            "batch": batch.result(),
            "live": np.array([p for answer in answers for p in answer.predictions]),
        },
    )


def trained_alike(
    table: Table, inputs: Inputs, statistics: dict[str, Any], config: TrainingConfig, live: Table
) -> np.ndarray:
    """Probabilities float64[n] for the live rows of a network fitted as the promoted one was."""
    split = split_of(table, inputs, statistics)
    network, _ = training.fit_network(split, inputs, statistics, config)
    unit = calibrated_unit(network, split, config.loss)
    rows = rows_of(live, inputs, statistics)
    return evaluation.answers(network, rows, config.loss, unit)


def training_set(mesh: Mesh, model: str) -> tuple[Table, dict[str, Any]]:
    """The first epoch's training set and its statistics."""
    event = next(e for e in mesh.events(TrainingSetPublished) if e.model == model)
    parts = [mesh.store.get_uri(file.uri, file.version_id or None) for file in event.files]
    for file, part in zip(event.files, parts, strict=True):
        if hashlib.sha256(part).hexdigest() != file.sha256:
            raise ValueError(f"{file.uri} is not what was published: its checksum differs")
    table = pa.concat_tables([pa_parquet.read_table(BytesIO(part)) for part in parts])
    return table, msgspec.json.decode(mesh.store.get_uri(event.statistics_uri))


def promoted_config(mesh: Mesh, model: str) -> TrainingConfig:
    """How the promoted model was trained, its search's choice included."""
    promoted = next(e for e in mesh.events(ModelPromoted) if e.model == model)
    config = read_config(
        mesh.store.get_uri(
            f"{promoted.uri.rstrip('/')}/{CONFIG}", promoted.version_ids.get(CONFIG) or None
        )
    )
    return msgspec.convert(config.training["config"], TrainingConfig)


def midnight_table(model: Model) -> Table:
    """Every question of the year: its inputs, each view as it stood at the last midnight in New
    York.
    """
    batch, _ = decoded(model.spine)
    at = batch.column(model.at).to_numpy()
    midnight = last_midnight(at)
    columns: dict[str, Any] = {
        ID: batch.column("flight_id"),
        LABEL: [float(flights.late()[i]) for i in batch.column("flight_id").to_pylist()],
    }
    columns |= {name: batch.column(name) for name in model.request}
    columns |= {
        name: pa.array(expression.floats(batch), from_pandas=True)
        for name, expression in model.derive.items()
    }
    for view in model.views:
        columns |= view_columns(view, batch, midnight)
    return pa.table(columns)


def view_columns(view: View, asked: pa.RecordBatch, at_us: np.ndarray) -> dict[str, pa.Array]:
    """The view's outputs for each question at its moment, from what was known then."""
    batch, known = decoded(view.source)
    events = Events(batch, np.arange(batch.num_rows), known)
    found = point_in_time(ViewPlan(view), events, Spine(key_text(asked, view.by), at_us))
    return {
        name: pa.array(values, from_pandas=True)
        if values.ndim == 1
        else pa.array(list(values), pa.list_(pa.float64()))
        for name, values in outputs(view, found).items()
    }


def decoded(source: Source) -> tuple[pa.RecordBatch, np.ndarray]:
    """All of the year's good records of a source, and when each became known."""
    batch = (
        Decoder(source)
        .json([msgspec.json.encode(row) for row in flights.rows(flights.tables()[source.name])])
        .batch
    )
    return batch, batch.column(source.known_at or source.event_time).to_numpy()


def last_midnight(at_us: np.ndarray) -> np.ndarray:
    """The midnight in New York at or before each moment, UTC microseconds."""
    first = datetime(2012, 12, 31, tzinfo=NEW_YORK)
    midnights = (
        np.array([int((first + timedelta(days=day)).timestamp()) for day in range(400)]) * 1_000_000
    )
    return midnights[np.searchsorted(midnights, at_us, side="right") - 1]


def local_day(at_us: int) -> str:
    """The date in New York."""
    return datetime.fromtimestamp(at_us / 1e6, NEW_YORK).date().isoformat()
