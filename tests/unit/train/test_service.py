"""Whatever a definition, a training set or an engine does, each set gets one verdict, and the next model is trained."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest
import torch
from torch import Tensor, nn

from schemas.events import (
    Event,
    ModelHeld,
    ModelPromoted,
    ModelRejected,
    ModelRolledBack,
    ModelTrained,
    RetrainRequested,
)
from tests.unit.train.fakes import SECOND, Mesh
from tests.unit.train.material import learnable, statistics
from train_svc.ports import TrainingSet
from train_svc.search import RAY
from train_svc.trainer import LONGEST_REASON
from twinstream.define import choice, log_uniform
from twinstream.define.network import network_of
from twinstream.errors import (
    ObjectMissingError,
    StorageUnavailableError,
    TrainingSetCorruptError,
)
from twinstream.nn.digest import CONFIG
from twinstream.nn.tabular import TabularNetwork


class RaisesWhenMade(nn.Module):
    def __init__(self, *_: Any, **__: Any) -> None:
        raise RuntimeError("no such thing")


class RaisesWhenAsked(TabularNetwork):
    def forward(self, numeric: Tensor, categorical: Tensor, sequences: Tensor) -> Tensor:
        raise ZeroDivisionError("not today")


class OutOfMemory(TabularNetwork):
    def forward(self, numeric: Tensor, categorical: Tensor, sequences: Tensor) -> Tensor:
        return torch.empty(1 << 50)


class NotANumber(TabularNetwork):
    def forward(self, numeric: Tensor, categorical: Tensor, sequences: Tensor) -> Tensor:
        return super().forward(numeric, categorical, sequences) * math.nan


class Columns(TabularNetwork):
    def forward(self, numeric: Tensor, categorical: Tensor, sequences: Tensor) -> Tensor:
        return super().forward(numeric, categorical, sequences)[:, None]


class Nothing(nn.Module):
    """Neither parameters nor an answer."""

    def __init__(self, *_: Any, **__: Any) -> None:
        super().__init__()

    def forward(self, *_: Tensor) -> None:
        return None


class NotANetwork:
    def __init__(self, *_: Any, **__: Any) -> None:
        pass


class InfiniteWhenTested(TabularNetwork):
    """Finite in training and validation; each scoring of the test rows after that is not."""

    scorings = 0

    def forward(self, numeric: Tensor, categorical: Tensor, sequences: Tensor) -> Tensor:
        given = super().forward(numeric, categorical, sequences)
        InfiniteWhenTested.scorings += not self.training
        return given if InfiniteWhenTested.scorings < 2 else given * math.inf


def verdicts(events: list[Event], model: str = "will-buy") -> list[tuple[str, str]]:
    kinds = (ModelPromoted, ModelRejected)
    return [
        (type(e).__name__, e.reason) for e in events if isinstance(e, kinds) and e.model == model
    ]


@pytest.fixture
def mesh(tmp_path: Path) -> Mesh:
    return Mesh(tmp_path, search={"width": 16})


def test_a_published_set_becomes_one_promoted_model(mesh: Mesh) -> None:
    mesh.land(1)
    found = mesh.run(mesh.service())
    assert [type(e) for e in found] == [ModelTrained, ModelPromoted]
    assert found[1].reason.endswith("served by ONNX Runtime")
    assert mesh.run(mesh.service()) == []


def trials_of(mesh: Mesh, trained: ModelTrained) -> list[dict[str, Any]]:
    """What the search for a model tried."""
    config = msgspec.json.decode(mesh.kept.files[trained.model_digest][CONFIG])
    return [trial["candidate"] for trial in config["training"]["trials"]]


def test_a_search_begins_with_what_serves_and_tries_others_for_each_set(tmp_path: Path) -> None:
    mesh = Mesh(tmp_path, search={"width": 16, "learning_rate": log_uniform(1e-3, 1e-1)})
    mesh.settings = msgspec.structs.replace(mesh.settings, candidates=3)
    for epoch in (1, 2):
        mesh.land(epoch)
        mesh.run(mesh.service())
    first, second = (e for e in mesh.topic.events if isinstance(e, ModelTrained))
    before, after = trials_of(mesh, first), trials_of(mesh, second)
    config = msgspec.json.decode(mesh.kept.files[first.model_digest][CONFIG])
    assert after[0]["learning_rate"] == config["training"]["config"]["learning_rate"]
    assert after[0] in before
    assert [one for one in after[1:] if one in before] == []
    assert list(tmp_path.rglob("*.trials")) == []


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        (RaisesWhenMade, "no such thing"),
        (RaisesWhenAsked, "not today"),
        (OutOfMemory, "failed 3 times"),
        (NotANumber, "finite validation loss"),
        (Columns, "one number per row"),
        (Nothing, "failed 3 times"),
        (NotANetwork, "failed 3 times"),
        (InfiniteWhenTested, "not finite"),
    ],
)
def test_a_network_that_fails_is_rejected_once_and_the_next_model_is_trained(
    tmp_path: Path, network: type, reason: str
) -> None:
    InfiniteWhenTested.scorings = 0
    mesh = Mesh(tmp_path, network=network_of(network), search={"width": 16})
    mesh.land(1)
    mesh.land(1, SECOND)
    found = mesh.run(mesh.service())
    ((kind, why),) = verdicts(found)
    assert kind == "ModelRejected"
    assert reason in why
    assert [kind for kind, _ in verdicts(found, SECOND)] == ["ModelPromoted"]
    assert mesh.run(mesh.service()) == []


@pytest.mark.parametrize(
    ("search", "reason"),
    [
        ({"batch_size": 0}, "batch_size is 0"),
        ({"batch_size": 64.0}, "batch_size is 64.0"),
        ({"max_epochs": 0}, "max_epochs is 0"),
        ({"learning_rate": math.nan}, "learning_rate is nan"),
        ({"breadth": 3}, "breadth"),
        ({"learning_rate": choice(1e30, 1e31)}, "none of 2 candidates"),
        ({"breadth": choice(1, 2)}, "breadth"),
        ({"batch_size": choice(0, -1)}, "batch_size is"),
    ],
)
def test_a_search_that_finds_nothing_is_one_rejection_with_its_reason(
    tmp_path: Path, search: dict[str, Any], reason: str
) -> None:
    mesh = Mesh(tmp_path, search=search)
    mesh.land(1)
    ((kind, why),) = verdicts(mesh.run(mesh.service()))
    assert kind == "ModelRejected"
    assert reason in why


def test_a_candidate_that_fails_leaves_the_others(tmp_path: Path) -> None:
    mesh = Mesh(tmp_path, search={"width": choice("wide", 16)})
    mesh.settings = msgspec.structs.replace(mesh.settings, candidates=8)
    mesh.land(1)
    assert [kind for kind, _ in verdicts(mesh.run(mesh.service()))] == ["ModelPromoted"]


def without(found: TrainingSet, column: str) -> TrainingSet:
    return TrainingSet(found.table.drop_columns([column]), found.statistics)


def labelled(found: TrainingSet, labels: list[Any]) -> TrainingSet:
    at = found.table.column_names.index("_label")
    return TrainingSet(found.table.set_column(at, "_label", pa.array(labels)), found.statistics)


@pytest.mark.parametrize(
    "change",
    [
        lambda s: without(s, "_label"),
        lambda s: without(s, "country"),
        lambda s: TrainingSet(s.table, {}),
        lambda s: TrainingSet(s.table, {"numeric": 3, "categories": None, "sequences": []}),
        lambda s: TrainingSet(s.table, s.statistics | {"split": {"train_until_us": "soon"}}),
        lambda s: TrainingSet(s.table, s.statistics | {"split": {"train_until_us": 5}}),
        lambda s: TrainingSet(s.table.slice(0, 0), s.statistics),
        lambda s: TrainingSet(
            s.table.slice(0, 2), {k: v for k, v in s.statistics.items() if k != "split"}
        ),
        lambda s: labelled(s, [1.0] * s.table.num_rows),
        lambda s: labelled(s, [None] * s.table.num_rows),
        lambda s: labelled(s, ["yes"] * s.table.num_rows),
        lambda s: labelled(s, [0.0, 1e300] * (s.table.num_rows // 2)),
    ],
)
def test_a_set_that_cannot_be_learned_from_is_rejected_once(mesh: Mesh, change: Any) -> None:
    good = mesh.sets.found
    mesh.sets.found = change(good)
    mesh.land(1)
    ((kind, why),) = verdicts(mesh.run(mesh.service()))
    assert (kind, bool(why)) == ("ModelRejected", True)
    mesh.sets.found = good
    mesh.land(2)
    assert [kind for kind, _ in verdicts(mesh.run(mesh.service()))] == ["ModelPromoted"]


@pytest.mark.parametrize("error", [ObjectMissingError("gone"), TrainingSetCorruptError("torn")])
def test_a_set_whose_files_are_not_there_is_rejected_at_once(mesh: Mesh, error: Exception) -> None:
    def refuse(_event: object) -> None:
        raise error

    mesh.sets.raises = refuse
    mesh.land(1)
    assert verdicts(mesh.run(mesh.service())) == [("ModelRejected", str(error))]
    assert mesh.sets.reads == 1


def test_s3_away_for_hours_rejects_nothing_and_other_models_go_on(mesh: Mesh) -> None:
    def away(event: Any) -> None:
        if event.model != SECOND:
            raise StorageUnavailableError("S3 does not answer")

    mesh.sets.raises = away
    mesh.land(1)
    mesh.land(1, SECOND)
    service = mesh.service()
    found = mesh.run(service, steps=30)
    assert verdicts(found) == []
    assert [kind for kind, _ in verdicts(found, SECOND)] == ["ModelPromoted"]
    assert service.blocked is not None
    assert "S3 does not answer" in service.blocked.reason
    mesh.sets.raises = lambda _event: None
    assert [kind for kind, _ in verdicts(mesh.run(service))] == ["ModelPromoted"]
    assert service.blocked is None


def test_a_set_that_kills_the_process_three_times_is_rejected(mesh: Mesh) -> None:
    class Killed(BaseException):
        """As far as a test can: nothing after it runs."""

    def kill(_event: object) -> None:
        raise Killed

    mesh.sets.raises = kill
    mesh.land(1)
    for _ in range(3):
        with pytest.raises(Killed):
            mesh.service().step()
    ((kind, why),) = verdicts(mesh.run(mesh.service()))
    assert kind == "ModelRejected"
    assert "the process ended while it did this" in why
    assert mesh.sets.reads == 3


def test_a_stop_in_the_middle_of_a_training_is_not_held_against_it(mesh: Mesh) -> None:
    def stop(_event: object) -> None:
        raise SystemExit(0)

    mesh.sets.raises = stop
    mesh.land(1)
    for _ in range(5):
        with pytest.raises(SystemExit):
            mesh.service().step()
    mesh.sets.raises = lambda _event: None
    assert [kind for kind, _ in verdicts(mesh.run(mesh.service()))] == ["ModelPromoted"]


def test_a_failure_that_passes_costs_nothing(mesh: Mesh) -> None:
    left = [RuntimeError("once"), RuntimeError("twice")]

    def fail(_event: object) -> None:
        if left:
            raise left.pop()

    mesh.sets.raises = fail
    mesh.land(1)
    assert [kind for kind, _ in verdicts(mesh.run(mesh.service()))] == ["ModelPromoted"]


def test_what_was_trained_is_published_when_kafka_is_back(mesh: Mesh) -> None:
    mesh.land(1)
    mesh.topic.refusals = 3
    service = mesh.service()
    found = mesh.run(service)
    assert [type(e) for e in found] == [ModelTrained, ModelPromoted]
    assert mesh.sets.reads == 1
    assert service.blocked is None


def test_a_verdict_that_fits_no_message_becomes_a_rejection_that_says_so(mesh: Mesh) -> None:
    mesh.land(1)
    mesh.topic.too_large = ModelTrained
    service = mesh.service()
    (found,) = mesh.run(service)
    assert isinstance(found, ModelRejected)
    assert "9000000 bytes" in found.reason
    assert service.blocked is None


def test_a_search_engine_that_falls_costs_only_its_speed(tmp_path: Path) -> None:
    class Fallen:
        def search(self, *_: object) -> Any:
            raise ConnectionError("the cluster is gone")

    mesh = Mesh(tmp_path, search={"width": choice(16, 8), "learning_rate": 2e-2})
    mesh.settings = msgspec.structs.replace(mesh.settings, tuner="ray")
    mesh.tuners[RAY] = Fallen()
    mesh.land(1)
    assert [kind for kind, _ in verdicts(mesh.run(mesh.service()))] == ["ModelPromoted"]


UNREADABLE = [ObjectMissingError("gone"), KeyError("x"), MemoryError()]


@pytest.mark.parametrize("error", UNREADABLE)
def test_a_champion_that_cannot_answer_is_followed_by_what_beats_one_answer(
    tmp_path: Path, error: Exception
) -> None:
    mesh = Mesh(tmp_path, search={"width": 16, "learning_rate": 2e-2})
    table = learnable(mesh.pipeline, rows=2000)
    mesh.sets.found = TrainingSet(table, statistics(mesh.pipeline, table))
    mesh.settings = msgspec.structs.replace(mesh.settings, max_epochs=4)
    service = mesh.service()
    mesh.land(1)
    mesh.run(service)
    mesh.kept.raises = dict.fromkeys(mesh.kept.files, error)
    mesh.land(2)
    ((kind, why),) = verdicts(mesh.run(service))
    assert (kind, "one answer for all rows" in why) == ("ModelPromoted", True)


@pytest.mark.parametrize("error", UNREADABLE)
def test_a_champion_that_cannot_answer_is_followed_by_nothing_worse_than_one_answer(
    mesh: Mesh, tmp_path: Path, error: Exception
) -> None:
    """Whatever an event says of its model's metrics."""
    mesh.settings = msgspec.structs.replace(mesh.settings, least_test_rows=60)
    mesh.land(1)
    first, _ = mesh.run(mesh.service())
    mesh.kept.raises = {first.model_digest: error}
    elsewhere = Mesh(tmp_path / "elsewhere", search={"width": 16})
    elsewhere.settings = msgspec.structs.replace(mesh.settings, seed=2)
    elsewhere.land(1)
    second, _ = elsewhere.run(elsewhere.service())
    mesh.kept.files |= elsewhere.kept.files
    mesh.sets.found = opposite(mesh.sets.found)
    mesh.land(2)
    claimed = {"log_loss": 1e-9, "baseline_log_loss": 0.7}
    claim = msgspec.structs.replace(second, training_set_digest="set-2", metrics=claimed)
    mesh.topic.publish(claim)
    (verdict,) = mesh.run(mesh.service())
    assert isinstance(verdict, ModelRejected)
    assert verdict.model_digest == second.model_digest != first.model_digest
    assert "one answer for all rows" in verdict.reason


def opposite(found: TrainingSet) -> TrainingSet:
    """A set in which all is the other way round."""
    return labelled(found, (1 - found.table["_label"].to_numpy()).tolist())


def test_a_model_whose_files_are_not_there_is_not_promoted(mesh: Mesh) -> None:
    """Anybody may say that a model was trained, and how good it is."""
    mesh.land(1)
    mesh.kept.raises["forged"] = ObjectMissingError("gone")
    claimed = ModelTrained(
        model="will-buy",
        model_digest="forged",
        uri="s3://models/will-buy/forged",
        version_ids={},
        epoch=1,
        training_set_digest="set-1",
        definition_digest=mesh.pipeline.digest,
        metrics={"auc": 1.0, "log_loss": 1e-9, "baseline_log_loss": 0.7},
    )
    mesh.topic.publish(claimed)
    assert verdicts(mesh.run(mesh.service()))[0] == ("ModelRejected", "gone")


def test_a_champion_is_compared_when_s3_is_back(mesh: Mesh) -> None:
    service = mesh.service()
    mesh.land(1)
    mesh.run(service)
    mesh.kept.raises = dict.fromkeys(mesh.kept.files, StorageUnavailableError("away"))
    mesh.land(2)
    assert verdicts(mesh.run(service)) == []
    mesh.kept.raises.clear()
    assert len(verdicts(mesh.run(service))) == 1


def test_a_set_that_lies_about_its_epoch_counts_until_the_next_one(mesh: Mesh) -> None:
    def refuse(event: Any) -> None:
        if event.epoch == 1_000_000:
            raise ObjectMissingError("gone")

    mesh.sets.raises = refuse
    mesh.land(1_000_000)
    service = mesh.service()
    assert [kind for kind, _ in verdicts(mesh.run(service))] == ["ModelRejected"]
    mesh.land(2)
    assert [kind for kind, _ in verdicts(mesh.run(service))] == ["ModelPromoted"]


def test_sixty_thousand_wishes_for_retraining_are_one(mesh: Mesh) -> None:
    mesh.land(1)
    service = mesh.service()
    mesh.run(service)
    for _ in range(60_000):
        wish = RetrainRequested(model="will-buy", reason="x", requested_at_us=1_800_000_000_000_000)
        mesh.topic.publish(wish)
    assert verdicts(mesh.run(service)) == []
    mesh.land(2)
    assert len(verdicts(mesh.run(service))) == 1


def test_a_reason_is_bounded(tmp_path: Path) -> None:
    mesh = Mesh(tmp_path, search={"x" * 100_000: 1})
    mesh.land(1)
    ((_, why),) = verdicts(mesh.run(mesh.service()))
    assert len(why) <= LONGEST_REASON


def test_while_held_the_verdict_is_told_and_nothing_is_promoted(mesh: Mesh) -> None:
    mesh.topic.publish(ModelHeld(model="will-buy", by="ann", reason="audit"))
    mesh.land(1)
    mesh.land(1, SECOND)
    found = mesh.run(mesh.service())
    ((kind, why),) = verdicts(found)
    assert kind == "ModelRejected"
    assert why.startswith("held by ann: audit; else promoted: good enough")
    assert [kind for kind, _ in verdicts(found, SECOND)] == ["ModelPromoted"]
    mesh.topic.publish(ModelHeld(model="will-buy", held=False))
    assert mesh.run(mesh.service()) == []
    mesh.land(2)
    assert [kind for kind, _ in verdicts(mesh.run(mesh.service()))] == ["ModelPromoted"]


def test_after_a_roll_back_the_next_model_is_compared_with_what_serves(mesh: Mesh) -> None:
    promoted = []
    mesh.settings = msgspec.structs.replace(mesh.settings, margin=-1.0, least_test_rows=0)
    for epoch in (1, 2):
        mesh.land(epoch)
        promoted += [e for e in mesh.run(mesh.service()) if isinstance(e, ModelPromoted)]
    first, second = (event.model_digest for event in promoted)
    back = ModelRolledBack(model="will-buy", model_digest=second, to_model_digest=first, reason="")
    mesh.topic.publish(back)
    mesh.kept.loaded.clear()
    mesh.land(3)
    mesh.run(mesh.service())
    assert mesh.kept.loaded[0] == first
