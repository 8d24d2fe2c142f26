"""Readers, a clock and models in memory, for the predictor."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec
import numpy as np
import torch

from predict_svc.api.activation import Activation
from predict_svc.api.base import Api
from predict_svc.api.freshness import Freshness
from predict_svc.api.lane import lane
from predict_svc.api.predictor import Predictor
from predict_svc.api.publishing import Kept
from predict_svc.api.raw_ends import Look, Looks
from predict_svc.api.routes import application
from predict_svc.api.serving import Serving
from predict_svc.api.shadowing import Shadowing
from predict_svc.api.slots import Wanted
from predict_svc.view.errors import ViewBehindError, ViewNotReadyError
from schemas.events import (
    CanaryChosen,
    Event,
    ModelPromoted,
    PredictionServed,
    ShadowChosen,
    ViewPosition,
    decode,
    encode,
)
from tests.unit.train.material import learnable, shop, statistics
from twinstream.algebra.plan import ViewPlan
from twinstream.define import View
from twinstream.features.inputs import Inputs
from twinstream.mesh.clock import ManualClock
from twinstream.mesh.door import Answer, Found, Lane
from twinstream.nn import TabularNetwork
from twinstream.nn.digest import model_digest, qualified_name
from twinstream.nn.files import ModelConfig, from_files, to_files
from twinstream.nn.scorer import Scorer
from twinstream.protocol.predictions import Prediction, predictions_of

Longs = np.ndarray[Any, np.dtype[np.int64]]
torch.set_num_threads(1)
NOW = 1_700_000_000_000_000


class FakeReader:
    """A view whose answer at epoch e is e + the key's length in every output;
    `raw` is what it contains, less `behind` at an epoch.
    """

    def __init__(self, view: View, landed: set[int]) -> None:
        self.plan = ViewPlan(view)
        self.landed: set[int] | None = landed
        self.raw: dict[int, int] = {0: 10, 1: 10}
        self.behind: dict[int, dict[int, int]] = {}
        self.on_wait: Callable[[], None] = lambda: None

    partitions = 2

    def bases(self) -> set[int]:
        return set(self.landed or ())

    def positions(self, epoch: int | None = None) -> dict[int, ViewPosition]:
        return {0: self._position(epoch), 1: self._position(epoch)}

    def read(
        self, key: bytes, at_us: int, epoch: int | None = None
    ) -> tuple[np.ndarray, ViewPosition]:
        found, positions = self.read_many([key], np.array([at_us]), epoch)
        return found[0], positions[0]

    def read_many(
        self, wanted: Sequence[bytes], at_us: Sequence[int] | Longs, epoch: int | None = None
    ) -> tuple[np.ndarray, list[ViewPosition]]:
        position = self._position(epoch)
        answers = np.array(
            [[float(position.epoch + len(key))] * self.plan.n_out for key in wanted]
        ).reshape(len(wanted), self.plan.n_out)
        return answers, [position] * len(wanted)

    def wait_for(
        self,
        raw: Mapping[int, int],
        timeout_s: float,
        key: bytes | None = None,
        epoch: int | None = None,
    ) -> None:
        give_up = time.monotonic() + timeout_s
        while any(self._position(epoch).raw.get(p, -1) < offset for p, offset in raw.items()):
            self.on_wait()
            if time.monotonic() > give_up:
                raise ViewBehindError(f"{raw} not reached")

    def _position(self, epoch: int | None) -> ViewPosition:
        at = max(self.landed or {0}) if epoch is None else epoch
        if at not in (self.landed or ()):
            raise ViewNotReadyError(f"the base of epoch {at} is not here")
        return ViewPosition(epoch=at, log={0: 5, 1: 6}, raw=self.raw | self.behind.get(at, {}))


class FakeEnds:
    """Raw topics that end where `now` says, and ended at `before` 250 ms ago."""

    def __init__(self) -> None:
        self.now: dict[str, dict[int, int]] = {}
        self.before: dict[str, dict[int, int]] = {}

    def __call__(self, sources: Sequence[str], max_age_ms: float) -> dict[str, dict[int, int]]:
        return self.now

    def age_ms(self, source: str, raw: Mapping[int, int]) -> float | None:
        looks = Looks()
        looks.note(Look(0.0, self.before))
        looks.note(Look(0.25, self.now))
        return looks.age_ms(0.25, source, raw)


class FakeLifecycle:
    """Events that the activation reads, in order."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def poll(self, timeout: float = 1.0) -> tuple[Event, Any] | None:
        return (self.events.pop(0), None) if self.events else None

    def at_end(self) -> bool:
        return not self.events


class FakeMeter:
    def __init__(self) -> None:
        self.counted: list[tuple[str, dict[str, object]]] = []

    def observe(self, name: str, value: float, unit: str = "", **labels: object) -> None:
        assert value >= 0

    def observe_all(
        self, name: str, values: Sequence[float], unit: str = "", **labels: object
    ) -> None:
        assert min(values) >= 0

    def count(self, name: str, n: float = 1, **labels: object) -> None:
        self.counted.append((name, labels))


@lru_cache
def model_files(seed: int, definition: str = "") -> tuple[str, dict[str, bytes]]:
    """Digest and files of an untrained network that differs by seed."""
    pipeline = shop()
    table = learnable(pipeline, rows=100)
    inputs, fitted = Inputs.of(pipeline.models[0].inputs), statistics(pipeline, table)
    torch.manual_seed(seed)
    network = TabularNetwork(inputs, fitted, width=16)
    torch.nn.init.normal_(network.head[1].weight)
    config = ModelConfig(
        model=pipeline.models[0].name,
        network=qualified_name(TabularNetwork),
        arguments={"width": 16},
        inputs=inputs,
        statistics=fitted,
        definition_digest=definition or pipeline.digest,
    )
    files = to_files(network, config, {})
    return model_digest(files), files


class World:
    """The predictor on fakes: promote models, land epochs, ask."""

    def __init__(
        self, landed: set[int] | None = None, wait_bound_s: float = 0.2, share: float = 1.0
    ) -> None:
        self.pipeline = shop()
        self.model = self.pipeline.models[0]
        self.readers = {
            view.name: FakeReader(view, set(landed if landed is not None else {1}))
            for view in self.pipeline.views
        }
        self.lifecycle, self.serving, self.meter, self.clock = (
            FakeLifecycle(),
            Serving(),
            FakeMeter(),
            ManualClock(NOW),
        )
        self.files: dict[str, dict[str, bytes]] = {}
        self.corrupt = False
        self.events: list[PredictionServed] = []
        self.kept: list[str] = []
        self.failed: list[tuple[str, str]] = []
        self.ends = FakeEnds()
        self.activation = Activation(
            self.serving,
            self.pipeline,
            self.readers,
            lifecycle=self.lifecycle,
            load=self._load,
            load_retry_s=0.0,
        )
        self.shadowing = self.asking(share, time.perf_counter)
        sources = [source.name for source in self.pipeline.sources]
        self.predictor = Predictor(
            self.readers,
            Freshness(self.readers, sources, self.ends, wait_bound_s=wait_bound_s),
            self.clock,
            max_rows=1000,
            canary_failed=lambda active, error: self.failed.append((active.name, str(error))),
        )
        self.api = Api(
            pipeline=self.pipeline,
            serving=self.serving,
            predictor=self.predictor,
            readers=self.readers,
            publish=self.shadowing.publish,
            refresh=self.activation.refresh,
            ready=lambda: (self.activation.caught_up, {}),
            meter=self.meter,
            clock=self.clock,
        )  # type: ignore[arg-type]
        self.app = application(self.api)
        self.client = self.app.test_client()

    @property
    def served(self) -> list[Prediction]:
        """Each row that was answered."""
        return [row for event in self.events for row in predictions_of(event)]

    def asking(self, share: float, clock: Callable[[], float]) -> Shadowing:
        """What asks candidates in this world."""
        meter: Any = self.meter
        return Shadowing(
            self.serving, keep=self.keep, send=self.send, meter=meter, share=share, clock=clock
        )

    def keep(self, event: PredictionServed) -> Kept:
        """In a file until it is sent."""
        self.kept.append(event.id)
        return Kept(event, encode(event), lambda: self.kept.remove(event.id))

    def send(self, kept: Kept) -> None:
        """As Kafka takes it, and says so at once."""
        found: Any = decode(PredictionServed.__name__, kept.value)
        self.events.append(found)
        kept.sent()

    def trained(self, seed: int, definition: str = "") -> str:
        """The digest of a model whose files are in the store."""
        digest, files = model_files(seed, definition)
        self.files[digest] = files
        return digest

    def shadow(self, seed: int | None) -> str:
        """A candidate that is asked beside what serves; None: none is."""
        digest = "" if seed is None else self.trained(seed)
        self.lifecycle.events.append(
            ShadowChosen(
                model=self.model.name,
                model_digest=digest,
                definition_digest=self.pipeline.digest,
            )
        )
        self.settle()
        return digest

    def canary(self, seed: int | None, share: float = 0.0) -> str:
        """A candidate that answers a share of the keys; None: none does."""
        digest = "" if seed is None else self.trained(seed)
        self.lifecycle.events.append(
            CanaryChosen(
                model=self.model.name,
                model_digest=digest,
                definition_digest=self.pipeline.digest,
                share=share,
            )
        )
        self.settle()
        return digest

    def promote(self, seed: int, definition: str = "") -> str:
        digest = self.trained(seed, definition)
        self.lifecycle.events.append(
            ModelPromoted(
                model=self.model.name,
                model_digest=digest,
                uri="",
                version_ids={},
                definition_digest=definition or self.pipeline.digest,
                metrics={},
            )
        )
        self.settle()
        return digest

    def land(self, epoch: int) -> None:
        for reader in self.readers.values():
            reader.landed = {*sorted(reader.landed or ())[-1:], epoch}
        self.settle()

    def settle(self) -> None:
        for _ in range(len(self.lifecycle.events) + 2):
            self.activation.step()

    def ask(self, rows: list[dict[str, Any]], **more: Any) -> Any:
        return self.client.post(f"/v1/predict/{self.model.name}", json={"rows": rows, **more})

    def ask_by_lane(
        self, rows: object, model: str = "", **more: Any
    ) -> tuple[int, Any, dict[str, str]]:
        """Status, body and headers, past Flask."""
        data = msgspec.json.encode({"rows": rows, **more})
        answer = by_lane(self.api, model or self.model.name, data)
        return answer.status, msgspec.json.decode(answer.body), dict(answer.headers)

    def _load(self, promoted: Wanted) -> Scorer:
        files = self.files[promoted.model_digest]
        given = {**files, "model.safetensors": b"torn"} if self.corrupt else files
        return Scorer(
            promoted.model_digest, from_files(given, promoted.model_digest, TabularNetwork)
        )


def by_lane(api: Api, model: str, data: bytes) -> Answer:
    """What the lane answers, waited for as the door does."""
    return asyncio.run(_taken(lane(api), model, [data]))[0]


def by_lane_at_once(api: Api, model: str, data: Sequence[bytes]) -> list[Answer]:
    """What it answers to requests that come in the same turn of the loop."""
    return asyncio.run(_taken(lane(api), model, data))


async def _taken(take: Lane, model: str, data: Sequence[bytes]) -> list[Answer]:
    found = [take(model, body) for body in data]
    return [await _come(one) for one in found]


async def _come(found: Found) -> Answer:
    if isinstance(found, asyncio.Future):
        return await found
    return found if isinstance(found, Answer) else found()


def wired(event: PredictionServed) -> Any:
    """The event as its readers get it."""
    return decode(type(event).__name__, encode(event))


def visit(shopper: str = "s1", **more: Any) -> dict[str, Any]:
    return {
        "visit_id": "v",
        "shopper": shopper,
        "page": "/",
        "country": "NZ",
        "mobile": True,
        "visited_at": NOW,
        **more,
    }
