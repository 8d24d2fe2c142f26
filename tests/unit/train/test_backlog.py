import msgspec

from schemas.events import (
    ModelPromoted,
    ModelRejected,
    ModelRolledBack,
    ModelTrained,
    RetrainRequested,
    TrainingSetPublished,
)
from train_svc.backlog import Backlog, Judgement, Training


def training_set(
    epoch: int, digest: str, definition: str = "d", rows: int = 100
) -> TrainingSetPublished:
    return TrainingSetPublished(
        model="m",
        epoch=epoch,
        files=[],
        columns=[],
        digest=digest,
        rows=rows,
        first_at_us=0,
        last_at_us=1,
        statistics_uri="",
        definition_digest=definition,
    )


def trained(model: str, training_set_digest: str, at_us: int = 10) -> ModelTrained:
    return ModelTrained(
        model="m",
        model_digest=model,
        uri="",
        version_ids={},
        epoch=1,
        training_set_digest=training_set_digest,
        definition_digest="d",
        metrics={},
        trained_at_us=at_us,
    )


def promoted(model: str) -> ModelPromoted:
    return ModelPromoted(
        model="m", model_digest=model, uri="", version_ids={}, definition_digest="d", metrics={}
    )


def rejected(model: str) -> ModelRejected:
    return ModelRejected(model="m", model_digest=model, reason="", metrics={})


def after(*events: object, min_growth: float = 0.0) -> Training | Judgement | None:
    backlog = Backlog(["m"])
    for event in events:
        backlog.apply(event)
    return next(backlog.works("d", min_growth), None)


def test_only_the_newest_training_set_is_trained() -> None:
    work = after(training_set(1, "s1"), training_set(2, "s2"))
    assert isinstance(work, Training)
    assert (work.training_set.digest, work.round) == ("s2", 0)


def test_nothing_is_left_when_the_newest_set_has_a_judged_model() -> None:
    assert after(training_set(1, "s1"), trained("a", "s1"), promoted("a")) is None
    assert after(training_set(1, "s1"), trained("a", "s1"), rejected("a")) is None


def test_a_trained_model_without_a_verdict_is_judged_after_a_restart() -> None:
    work = after(
        training_set(1, "s1"),
        trained("a", "s1"),
        promoted("a"),
        training_set(2, "s2"),
        trained("b", "s2"),
    )
    assert isinstance(work, Judgement)
    assert (work.trained.model_digest, work.champion.model_digest) == ("b", "a")


def test_a_set_that_cannot_be_trained_on_is_not_tried_again() -> None:
    assert after(training_set(1, "s1"), rejected("set:s1")) is None


def test_a_set_of_another_definition_is_passed_over() -> None:
    assert after(training_set(1, "s1", definition="other")) is None


def test_a_wish_for_retraining_waits_for_the_set_of_a_later_epoch() -> None:
    wish = RetrainRequested(model="m", reason="drift", requested_at_us=20)
    history = [training_set(1, "s1"), trained("a", "s1", at_us=10), promoted("a"), wish]
    assert after(*history) is None
    work = after(*history, training_set(2, "s2", rows=101), min_growth=0.5)
    assert isinstance(work, Training)
    assert (work.training_set.digest, work.round, work.reason) == ("s2", 0, "drift")


def test_a_wish_for_retraining_trains_once_with_another_seed_when_nothing_new_came() -> None:
    wish = RetrainRequested(model="m", reason="drift", requested_at_us=20)
    history = [
        training_set(1, "s1"),
        trained("a", "s1", at_us=10),
        promoted("a"),
        wish,
        training_set(2, "s1"),
    ]
    work = after(*history)
    assert isinstance(work, Training)
    assert (work.training_set.digest, work.round, work.reason) == ("s1", 1, "drift")
    assert after(*history, trained("b", "s1", at_us=30), rejected("b")) is None


def test_a_training_that_is_told_again_is_no_newer_and_no_other_one() -> None:
    first, wish = (
        trained("a", "s1", at_us=10),
        RetrainRequested(model="m", reason="drift", requested_at_us=20),
    )
    history = [training_set(1, "s1"), first, promoted("a"), wish, training_set(2, "s2", rows=101)]
    history += [trained("b", "s2", at_us=30), promoted("b")]
    assert after(*history, first) is None
    work = after(training_set(1, "s1"), first, first, promoted("a"), wish, training_set(2, "s1"))
    assert isinstance(work, Training)
    assert work.round == 1


def test_a_wish_for_retraining_takes_a_set_that_had_grown_too_little() -> None:
    history = [
        training_set(1, "s1"),
        trained("a", "s1", at_us=10),
        promoted("a"),
        training_set(2, "s2", rows=101),
    ]
    assert after(*history, min_growth=0.5) is None
    work = after(
        *history, RetrainRequested(model="m", reason="drift", requested_at_us=20), min_growth=0.5
    )
    assert isinstance(work, Training)
    assert work.training_set.digest == "s2"


def test_a_set_that_has_grown_too_little_waits() -> None:
    history = [
        training_set(1, "s1", rows=100),
        trained("a", "s1"),
        promoted("a"),
        training_set(2, "s2", rows=105),
    ]
    assert after(*history, min_growth=0.1) is None
    assert isinstance(after(*history, training_set(3, "s3", rows=110), min_growth=0.1), Training)


def test_every_new_set_is_trained_on_when_no_growth_is_asked_for_even_a_smaller_one() -> None:
    assert isinstance(
        after(
            training_set(1, "s1", rows=100),
            trained("a", "s1"),
            promoted("a"),
            training_set(2, "s2", rows=50),
        ),
        Training,
    )


def test_the_champion_is_the_model_before_after_a_roll_back() -> None:
    back = ModelRolledBack(model="m", model_digest="b", to_model_digest="a", reason="")
    work = after(training_set(1, "s1"), promoted("a"), promoted("b"), back, trained("c", "s1"))
    assert isinstance(work, Judgement)
    assert work.champion == msgspec.structs.replace(promoted("a"))


def test_events_of_a_model_that_the_pipeline_does_not_have_change_nothing() -> None:
    assert after(msgspec.structs.replace(training_set(1, "s1"), model="other")) is None
