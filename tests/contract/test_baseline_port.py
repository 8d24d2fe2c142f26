"""What every Baseline does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.unit.train.problems import problem, straight
from train_svc.adapters.lightgbm_baseline import LightGbmBaseline
from train_svc.adapters.linear_baseline import LinearBaseline
from train_svc.evaluation import constant_answers, scores_of
from train_svc.ports import Baseline, FittedBaseline, Problem
from train_svc.training import LOSSES
from twinstream.nn.files import BINARY


class OneAnswer:
    """The fake: what the training labels say on average."""

    def compare(self, given: Problem) -> FittedBaseline:
        return FittedBaseline(constant_answers(given.split, given.config.loss), {"rows": 1.0})


BASELINES: dict[str, Callable[[], Baseline]] = {
    "fake": OneAnswer,
    "linear": LinearBaseline,
    "boosting": lambda: LightGbmBaseline(50),
}


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("made", BASELINES.values(), ids=BASELINES)
def test_a_baseline_answers_each_test_row_about_as_well_as_one_answer_or_better(
    made: Callable[[], Baseline], loss: str
) -> None:
    given = problem(straight, loss, rows=1000)
    found = made().compare(given)
    label = given.split.test.label.numpy()
    measure = "log_loss" if loss == BINARY else "mae"
    ours, constant = (
        scores_of(label, answers, loss)[measure]
        for answers in (found.answers, constant_answers(given.split, loss))
    )
    assert found.answers.shape == label.shape
    assert found.answers.dtype == np.float64
    assert ours <= constant
    assert all(type(value) is float for value in found.facts.values())


@pytest.mark.parametrize("made", BASELINES.values(), ids=BASELINES)
def test_the_same_rows_are_answered_the_same(made: Callable[[], Baseline]) -> None:
    given: Any = [problem(straight, rows=500) for _ in range(2)]
    first, second = (made().compare(one) for one in given)
    assert first.answers.tobytes() == second.answers.tobytes()
    assert first.facts == second.facts
