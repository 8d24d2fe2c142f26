import math

import pytest

from train_svc import search
from train_svc.settings import TrainSettings
from twinstream.define import choice, int_uniform, log_uniform, uniform
from twinstream.errors import SettingsError

SPACE = {
    "width": choice(64, 128),
    "dropout": uniform(0.0, 0.3),
    "learning_rate": log_uniform(1e-4, 1e-2),
    "blocks": int_uniform(1, 3),
    "batch_size": 256,
}


def test_candidates_are_the_same_for_the_same_seed_and_lie_in_the_space() -> None:
    drawn = search.candidates(SPACE, 50, seed=3)
    assert drawn == search.candidates(SPACE, 50, seed=3) != search.candidates(SPACE, 50, seed=4)
    assert all(
        c["width"] in {64, 128} and 0 <= c["dropout"] <= 0.3 and 1e-4 <= c["learning_rate"] <= 1e-2
        for c in drawn
    )
    assert {c["blocks"] for c in drawn} == {1, 2, 3}
    assert {c["batch_size"] for c in drawn} == {256}


def test_one_candidate_when_nothing_is_to_be_searched() -> None:
    assert search.candidates({"width": 64}, 8, seed=1) == [{"width": 64}]


def test_ray_searches_unless_the_job_is_small() -> None:
    settings = TrainSettings()
    assert search.tuner_for(200_000, 6, settings) == search.RAY
    assert search.tuner_for(5_000, 6, settings) == search.IN_PROCESS
    assert search.tuner_for(200_000, 2, settings) == search.IN_PROCESS
    assert search.tuner_for(200_000, 6, TrainSettings(tuner="in-process")) == search.IN_PROCESS


def test_a_trial_that_diverged_is_never_the_best() -> None:
    found = search.best_of(
        [({"a": 1}, math.nan, 1), ({"a": 2}, 0.5, 4), ({"a": 3}, math.inf, 4)], "ray"
    )
    assert found.best == {"a": 2}
    with pytest.raises(search.NothingFoundError, match="learning_rate"):
        search.best_of([({"a": 1}, math.nan, 1)], "ray")


def test_a_wrong_setting_is_named() -> None:
    with pytest.raises(SettingsError, match="candidates"):
        TrainSettings.from_env({"TWINSTREAM_TRAIN_CANDIDATES": "many"})
