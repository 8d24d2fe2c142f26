import msgspec

from schemas.events import ModelHeld, ModelPromoted, ModelRejected, ModelRolledBack, Release
from twinstream.protocol.releases import Lifecycle, common_epoch, decide


def promoted(digest: str, definition: str = "d") -> ModelPromoted:
    return ModelPromoted(
        model="m",
        model_digest=digest,
        uri="",
        version_ids={},
        definition_digest=definition,
        metrics={},
    )


def test_the_epoch_is_the_newest_that_all_views_have() -> None:
    assert common_epoch({"a": {1, 2}, "b": {2, 3}}) == 2
    assert common_epoch({"a": {1, 2}, "b": {1}}) == 1
    assert common_epoch({"a": {1}, "b": set()}) is None


def test_a_model_without_views_answers_at_epoch_zero() -> None:
    assert common_epoch({}) == 0


def test_there_is_no_release_without_a_model_or_a_whole_view() -> None:
    assert decide("d", {"a": {1}}, "x", "").release == Release(definition="d", epoch=1, model="x")
    assert "no model was promoted yet" in decide("d", {"a": {1}}, None, "").reason
    assert "views b are not whole yet" in decide("d", {"a": {1}, "b": set()}, "x", "").reason


def test_the_last_promoted_model_answers_and_a_rejected_one_never() -> None:
    lifecycle = Lifecycle("d")
    for event in (
        promoted("x"),
        promoted("y"),
        ModelRejected(model="m", model_digest="z", reason="", metrics={}),
    ):
        lifecycle.apply(event)
    assert lifecycle.promoted["m"].model_digest == "y"


def test_a_roll_back_returns_to_the_named_model() -> None:
    lifecycle = Lifecycle("d")
    for event in (
        promoted("x"),
        promoted("y"),
        ModelRolledBack(model="m", model_digest="y", to_model_digest="x", reason=""),
    ):
        lifecycle.apply(event)
    assert lifecycle.promoted["m"].model_digest == "x"


def test_a_roll_back_to_an_unknown_model_changes_nothing_and_is_told() -> None:
    lifecycle = Lifecycle("d")
    lifecycle.apply(promoted("x"))
    lifecycle.apply(ModelRolledBack(model="m", model_digest="x", to_model_digest="w", reason=""))
    assert lifecycle.promoted["m"].model_digest == "x"
    assert "never promoted" in lifecycle.refused["m"]


def test_a_model_of_another_definition_does_not_replace_ours() -> None:
    lifecycle = Lifecycle("d")
    lifecycle.apply(promoted("x"))
    lifecycle.apply(promoted("y", definition="other"))
    assert lifecycle.promoted["m"].model_digest == "x"
    assert "definition other" in lifecycle.refused["m"]
    lifecycle.apply(promoted("z"))
    assert lifecycle.refused == {}


def test_while_held_the_trainer_replaces_nothing_and_an_operator_does() -> None:
    lifecycle = Lifecycle("d")
    for event in (promoted("x"), ModelHeld(model="m", by="ann", reason="audit"), promoted("y")):
        lifecycle.apply(event)
    assert lifecycle.promoted["m"].model_digest == "x"
    assert lifecycle.refused["m"] == "model y is not taken: held by ann: audit"
    lifecycle.apply(msgspec.structs.replace(promoted("z"), by="ann"))
    assert lifecycle.promoted["m"].model_digest == "z"
    assert lifecycle.refused == {}
    for event in (ModelHeld(model="m", held=False), promoted("y")):
        lifecycle.apply(event)
    assert lifecycle.promoted["m"].model_digest == "y"


def test_a_roll_back_to_a_model_of_another_definition_changes_nothing_here() -> None:
    lifecycle = Lifecycle("d")
    for event in (promoted("x", definition="old"), promoted("y"), back_to("x")):
        lifecycle.apply(event)
    assert lifecycle.promoted["m"].model_digest == "y"
    assert "definition old" in lifecycle.refused["m"]


def back_to(digest: str) -> ModelRolledBack:
    return ModelRolledBack(model="m", model_digest="", to_model_digest=digest, reason="")
