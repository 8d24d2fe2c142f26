"""What a team writes by hand: FastAPI on uvicorn, three records of float32 features from LMDB for
each row, an MLP in eager PyTorch. Logs nothing.

`python fastapi_predict.py PORT FOLDER KEYS` fills a store of its own and serves `POST /predict`.
It runs in the peer's own virtual environment, with PyTorch, LMDB and numpy of ours,
and imports nothing of ours.
"""

from __future__ import annotations

import sys

import lmdb
import numpy as np
import torch
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from torch import nn

VIEWS, FEATURES, WIDTH = 3, 10, 128


class Row(BaseModel):
    """One row of the shop example's requests."""

    visit_id: str
    shopper: str
    country: str | None = None
    page: str
    visited_at: int
    seconds: int | None = None
    mobile: bool


class Body(BaseModel):
    """A request."""

    rows: list[Row]


class Residual(nn.Module):
    """x + MLP(LayerNorm(x))."""

    def __init__(self) -> None:
        super().__init__()
        self.change = nn.Sequential(
            nn.LayerNorm(WIDTH), nn.Linear(WIDTH, WIDTH), nn.SiLU(), nn.Linear(WIDTH, WIDTH)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.change(x)


def fill(folder: str, keys: int) -> lmdb.Environment:
    """A store with three records of each key."""
    env = lmdb.open(folder, map_size=1 << 30, subdir=True)
    dice = np.random.default_rng(1)
    with env.begin(write=True) as txn:
        for key in range(keys):
            for view in range(VIEWS):
                data = dice.normal(size=FEATURES).astype(np.float32).tobytes()
                txn.put(f"{view}:shopper-{key}".encode(), data)
    return env


def application(env: lmdb.Environment) -> FastAPI:
    """The service."""
    torch.set_num_threads(1)
    network = nn.Sequential(
        nn.Linear(VIEWS * FEATURES + 2, WIDTH), Residual(), Residual(), nn.Linear(WIDTH, 1)
    ).eval()
    app, nothing = FastAPI(), np.zeros(FEATURES, np.float32)

    @app.post("/predict")
    async def predict(body: Body) -> dict[str, list[float]]:
        features = np.empty((len(body.rows), VIEWS * FEATURES + 2), np.float32)
        with env.begin() as txn:
            for i, row in enumerate(body.rows):
                for view in range(VIEWS):
                    data = txn.get(f"{view}:{row.shopper}".encode())
                    found = nothing if data is None else np.frombuffer(data, np.float32)
                    features[i, view * FEATURES : (view + 1) * FEATURES] = found
                features[i, -2:] = row.mobile, row.visited_at // 3_600_000_000 % 24
        with torch.inference_mode():
            scores = torch.sigmoid(network(torch.from_numpy(features))).squeeze(1)
        return {"predictions": scores.tolist()}

    return app


if __name__ == "__main__":
    port, folder, keys = sys.argv[1:]
    uvicorn.run(
        application(fill(folder, int(keys))), port=int(port), log_level="warning", access_log=False
    )
