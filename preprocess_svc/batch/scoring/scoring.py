"""One part of a spine to scores: what the views answered becomes features, the network scores them,
and a file is written.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import NamedTuple

import msgspec
import numpy as np
import pyarrow as pa

from preprocess_svc.batch.scoring.asking import WorkFolders, part_file
from preprocess_svc.batch.scoring.files import Files
from preprocess_svc.batch.training_sets.assembly import answer_columns
from preprocess_svc.batch.training_sets.questions import ROW
from schemas.events import ModelPromoted
from twinstream.define import Model
from twinstream.define.network import Network
from twinstream.errors import NotFiniteError
from twinstream.features.arrays import from_table
from twinstream.mesh.pipeline_file import load
from twinstream.mesh.settings import MeshSettings
from twinstream.nn.scorer import Scorer, load_scorer
from twinstream.protocol.scores import (
    BATCH_SHAPE,
    FEATURES,
    METADATA,
    MOMENT,
    PREDICTION,
    SPINE_ROW,
    ScoreOrigin,
)
from twinstream.protocol.training_columns import AT

SCORED = "part int, rows bigint, size_bytes bigint, sha256 string, digest string"
_SCHEMA = pa.schema(
    [
        ("part", pa.int32()),
        ("rows", pa.int64()),
        ("size_bytes", pa.int64()),
        ("sha256", pa.string()),
        ("digest", pa.string()),
    ]
)
UTC = pa.timestamp("us", "UTC")


class ScoredPart(msgspec.Struct, frozen=True):
    """One file, as its writer tells the driver."""

    part: int
    rows: int
    size_bytes: int
    sha256: str
    digest: str


class Chosen(NamedTuple):
    """The model that scores: hashable, so that a worker loads it once."""

    promoted: bytes
    """The event that names it, as JSON."""
    network: str
    definition: str

    def scorer(self, files: Files, definition_file: str) -> Scorer:
        """Fetches and checks it; see `load_scorer`."""
        event = msgspec.json.decode(self.promoted, type=ModelPromoted)
        return load_scorer(
            files.store, event, _network(self.network, definition_file), self.definition
        )


def _network(path: str, definition_file: str) -> Network:
    """A network's class. One of the definition's own file can be imported once that has run."""
    found = Network(path)
    try:
        found.resolve()
    except ImportError:
        load(definition_file)
        found.resolve()
    return found


@lru_cache(maxsize=2)
def loaded(mesh: MeshSettings, chosen: Chosen) -> Scorer:
    """The model, once a worker."""
    import torch

    torch.set_num_threads(1)  # as the predictor does
    return chosen.scorer(Files(mesh), mesh.pipeline)


class Score:
    """Runs in Spark's Python workers, on the answers of all views to one part's questions."""

    def __init__(
        self,
        mesh: MeshSettings,
        model: Model,
        chosen: Chosen,
        work: WorkFolders,
        origin: ScoreOrigin,
        *,
        with_features: bool,
    ) -> None:
        self._mesh = mesh
        self._model = model
        self._chosen = chosen
        self._work = work
        self._origin = origin
        self._with_features = with_features

    def __call__(self, key: tuple[pa.Scalar, ...], answers: pa.Table) -> pa.Table:
        done = self._scored(int(key[0].as_py()), answers)
        return pa.Table.from_pylist([msgspec.to_builtins(done)], schema=_SCHEMA)

    def _scored(self, part: int, answers: pa.Table) -> ScoredPart:
        files, work = Files(self._mesh), self._work
        asked = files.read(part_file(work.asked, part))
        spine = files.read(part_file(work.spine, part))
        scorer = loaded(self._mesh, self._chosen)
        table = self.table(asked, spine, answers, scorer)
        size, sha256 = files.write(part_file(work.out, part), table, kept=True)
        return ScoredPart(part, table.num_rows, size, sha256, digest_of_scores(table))

    def table(
        self,
        asked: pa.Table,
        spine: pa.Table,
        answers: pa.Table,
        scorer: Scorer,
    ) -> pa.Table:
        """The spine's rows with what was asked and answered beside them; all in one order."""
        inputs = self._inputs(asked, answers)
        scores, shapes = network_scores(scorer, inputs)
        beside = {
            PREDICTION: scores,
            MOMENT: asked[AT].combine_chunks().cast(UTC),
            SPINE_ROW: asked[ROW],
            BATCH_SHAPE: shapes,
        }
        if self._with_features:
            beside[FEATURES] = as_struct(inputs.select(scorer.inputs.names))
        for name, column in beside.items():
            spine = spine.append_column(name, column)
        return spine.replace_schema_metadata({METADATA: msgspec.json.encode(self._origin)})

    def _inputs(self, asked: pa.Table, answers: pa.Table) -> pa.Table:
        """The columns of a training set, but for what only a training row has."""
        model = self._model
        columns = {name: asked[name] for name in (*model.request, *model.derive)}
        return pa.table(columns | answer_columns(model, asked[ROW].to_numpy(), answers))


def network_scores(scorer: Scorer, inputs: pa.Table) -> tuple[pa.Array, pa.Array]:
    """(prediction, batch shape) of each row. Raises NotFiniteError, as the predictor refuses."""
    scores, shapes = scorer.predict(from_table(inputs, scorer.inputs))
    if not np.isfinite(scores).all():
        raise NotFiniteError(
            f"model {scorer.digest[:12]} gives a score that is not a finite number: roll it back"
        )
    return pa.array(scores, pa.float64()), pa.array(shapes, pa.int32())


def as_struct(table: pa.Table) -> pa.StructArray:
    """One column of all."""
    columns = [_one_array(column) for column in table.columns]
    return pa.StructArray.from_arrays(columns, names=table.column_names)


def _one_array(column: pa.ChunkedArray) -> pa.Array:
    whole = column.combine_chunks()
    return whole.chunk(0) if isinstance(whole, pa.ChunkedArray) else whole


def digest_of_scores(table: pa.Table) -> str:
    """SHA-256 over number, moment and prediction of each row."""
    digest = hashlib.sha256()
    for name in (SPINE_ROW, MOMENT):
        digest.update(table[name].cast(pa.int64()).to_numpy().astype("<i8").tobytes())
    digest.update(table[PREDICTION].to_numpy().astype("<f8").tobytes())
    return digest.hexdigest()


def whole_digest(parts: list[ScoredPart]) -> str:
    """Of all rows, from the digests of the parts in their order."""
    joined = "".join(part.digest for part in parts)
    return hashlib.sha256(joined.encode()).hexdigest()
