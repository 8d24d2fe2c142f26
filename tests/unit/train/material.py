"""A small pipeline and a synthetic training set from which something can be learned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from schemas.events import FileRef, TrainingSetPublished
from twinstream.define import Pipeline
from twinstream.features.arrays import lists, numbers
from twinstream.features.inputs import Inputs
from twinstream.mesh.pipeline_file import load

SHOP = Path(__file__).parents[3] / "examples" / "shop" / "pipeline.py"


def shop() -> Pipeline:
    return load(SHOP)


def learnable(pipeline: Pipeline, rows: int = 4000, seed: int = 7) -> pa.Table:
    """Training rows of the pipeline's first model; the label depends on a number, a category,
    a sequence and on what is null.
    """
    inputs = Inputs.of(pipeline.models[0].inputs)
    rng = np.random.default_rng(seed)
    values = {name: rng.normal(size=rows) for name in inputs.numeric}
    country = rng.integers(0, 5, rows)
    chosen, nullable = "spending.amount_24h", "by-shopper.last_seconds_24h"
    null = rng.random(rows) < 0.3
    dwell = rng.normal(size=(rows, 4))
    logit = 2 * values[chosen] + (country - 2) + dwell[:, 0] + np.where(null, 1.5, values[nullable])
    values[nullable][null] = np.nan
    columns: dict[str, Any] = {
        name: pa.array(column, from_pandas=True) for name, column in values.items()
    }
    columns["mobile"] = pa.array(rng.random(rows) < 0.5)
    columns["country"] = pa.array([f"c{c}" for c in country])
    columns["page"] = pa.array(["/"] * rows)
    columns |= {
        name: pa.array((dwell[:, :length] if length == 4 else np.zeros((rows, length))).tolist())
        for name, length in inputs.sequences
    }
    label = (rng.random(rows) < 1 / (1 + np.exp(-logit))).astype(float)
    return pa.table(
        {
            "_id": [f"v{i:06d}" for i in range(rows)],
            "_at_us": np.arange(rows) * 1_000_000,
            **columns,
            "_label": label,
        }
    )


def statistics(pipeline: Pipeline, table: pa.Table) -> dict[str, Any]:
    """As the batch layer fits them, on the first 70 %."""
    inputs = Inputs.of(pipeline.models[0].inputs)
    n = table.num_rows
    train = table.slice(0, int(n * 0.7))
    at = table["_at_us"].to_numpy()
    numeric = {name: numbers(train[name]) for name in inputs.numeric}
    sequences = {name: lists(train[name], length) for name, length in inputs.sequences}
    return {
        "numeric": {
            name: {"mean": float(np.nanmean(v)), "std": float(np.nanstd(v))}
            for name, v in numeric.items()
        },
        "categories": {name: sorted(set(train[name].to_pylist())) for name in inputs.categorical},
        "sequences": {
            name: {"mean": float(np.nanmean(v)), "std": float(np.nanstd(v))}
            for name, v in sequences.items()
        },
        "label": {"count": train.num_rows, "mean": float(numbers(train["_label"]).mean())},
        "split": {
            "train_until_us": int(at[int(n * 0.7) - 1]),
            "validation_until_us": int(at[int(n * 0.85) - 1]),
        },
    }


def published(
    pipeline: Pipeline,
    table: pa.Table,
    *,
    epoch: int = 1,
    digest: str = "set-1",
    files: tuple[FileRef, ...] = (),
    uri: str = "",
) -> TrainingSetPublished:
    return TrainingSetPublished(
        model=pipeline.models[0].name,
        epoch=epoch,
        files=list(files),
        columns=table.column_names,
        digest=digest,
        rows=table.num_rows,
        first_at_us=0,
        last_at_us=table.num_rows * 1_000_000,
        statistics_uri=uri,
        definition_digest=pipeline.digest,
    )
