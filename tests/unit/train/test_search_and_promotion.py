import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.train.material import learnable, shop, statistics
from train_svc import search
from train_svc.adapters.in_process_tuner import InProcessTuner
from train_svc.adapters.optuna_study import OptunaStudy, TriedCandidate
from train_svc.adapters.trial_log import TrialLog
from train_svc.ports import Problem
from train_svc.rows import split_of
from train_svc.settings import TrainSettings
from train_svc.training import TrainingConfig
from twinstream.define import choice, int_uniform, log_uniform, uniform
from twinstream.errors import SettingsError
from twinstream.features.inputs import Inputs

SPACE = {
    "width": choice(64, 128),
    "dropout": uniform(0.0, 0.3),
    "learning_rate": log_uniform(1e-4, 1e-2),
    "blocks": int_uniform(1, 3),
    "batch_size": 256,
}


def wanted(trials: int = 6, seed: int = 1, **more: Any) -> search.Search:
    return search.Search(space=SPACE, trials=trials, seed=seed, **more)


def suggested(
    study: OptunaStudy, count: int, loss_of: Callable[[search.Candidate], float]
) -> list[search.Candidate]:
    """What it suggests while each candidate gives this loss, whatever the pass."""
    found = []
    for _ in range(count):
        trial, candidate = study.ask()
        study.tell(trial, TriedCandidate(candidate, [loss_of(candidate)]))
        found.append(candidate)
    return found


def hidden(candidate: search.Candidate) -> float:
    """Least at a learning rate of 2e-3, a width of 128 and a dropout of 0.1."""
    off = abs(math.log(candidate["learning_rate"] / 2e-3)) + 5 * abs(candidate["dropout"] - 0.1)
    return off + (candidate["width"] != 128)


def test_candidates_are_the_same_for_the_same_seed_and_lie_in_the_space() -> None:
    first, again, other = (suggested(OptunaStudy(wanted(seed=s)), 30, hidden) for s in (3, 3, 4))
    assert first == again != other
    assert all(search.inside(SPACE, candidate) for candidate in first)
    assert {candidate["blocks"] for candidate in first} == {1, 2, 3}
    assert {candidate["batch_size"] for candidate in first} == {256}


def test_each_candidate_is_informed_by_those_before_it() -> None:
    """On the average of 20 searches the best of 20 is nearer than that of draws that know nothing,
    which the same search makes when every loss is the same.
    """
    informed, blind = [], []
    for seed in range(20):
        informed.append(min(map(hidden, suggested(OptunaStudy(wanted(20, seed)), 20, hidden))))
        drawn = [suggested(OptunaStudy(wanted(20, 97 * seed + i)), 1, hidden)[0] for i in range(20)]
        blind.append(min(map(hidden, drawn)))
    assert sum(informed) < 0.8 * sum(blind)


def test_another_training_set_gets_other_candidates() -> None:
    seeds = {search.seed_of(1, digest) for digest in ("a", "b")} | {search.seed_of(2, "a")}
    assert len(seeds) == 3
    assert search.seed_of(1, "a") == search.seed_of(1, "a")


def test_what_is_to_be_tried_first_is_tried_first() -> None:
    serves = {**CHOSEN, "learning_rate": 3e-3}
    study = OptunaStudy(wanted(first=[serves]))
    assert suggested(study, 2, hidden)[0] == serves


CHOSEN = {"width": 64, "dropout": 0.0, "learning_rate": 1e-4, "blocks": 3, "batch_size": 256}


@pytest.mark.parametrize(
    "changed",
    [
        {"width": 32},
        {"dropout": 0.4},
        {"learning_rate": "fast"},
        {"blocks": 1.5},
        {"batch_size": 128},
        {"more": 1},
    ],
)
def test_a_candidate_of_another_space_is_not_inside(changed: search.Candidate) -> None:
    assert search.inside(SPACE, CHOSEN)
    assert not search.inside(SPACE, CHOSEN | changed)
    assert not search.inside(SPACE, {"width": 64})


def test_a_trial_that_is_behind_is_stopped() -> None:
    study = OptunaStudy(wanted(20))
    for loss in (0.1, 0.2, 0.3, 0.4):
        trial, candidate = study.ask()
        assert not study.behind(trial, 1, loss) or loss > 0.1
        study.tell(trial, TriedCandidate(candidate, [loss]))
    trial, _ = study.ask()
    assert study.behind(trial, 1, 9.0)
    good, _ = study.ask()
    assert not study.behind(good, 1, 0.05)


def test_a_search_goes_on_after_a_kill_as_if_nothing_had_happened(tmp_path: Path) -> None:
    whole = OptunaStudy(wanted())
    expected = suggested(whole, 6, hidden)
    log = TrialLog(tmp_path, "one")
    for tried in whole.tried[:4]:
        log.add(tried)
    with (tmp_path / "one.trials").open("ab") as file:
        file.write(b'{"candidate": {"wid')  # a kill in the middle of a line
    TrialLog(tmp_path, "one")
    after = OptunaStudy(wanted())
    for tried in TrialLog(tmp_path, "one").read():
        after.add(tried)
    assert suggested(after, 2, hidden) == expected[4:]
    TrialLog(tmp_path, "another")
    assert list(tmp_path.iterdir()) == []


def test_no_trial_begins_when_the_budget_is_spent(tmp_path: Path) -> None:
    pipeline, table = shop(), learnable(shop(), rows=400)
    inputs, fitted = Inputs.of(pipeline.models[0].inputs), statistics(pipeline, table)
    config = TrainingConfig(max_epochs=1, batch_size=256, threads=1, arguments={"width": 16})
    split, network = split_of(table, inputs, fitted), pipeline.models[0].network
    problem = Problem(split, inputs, fitted, config, network)
    space = {"learning_rate": log_uniform(1e-3, 1e-2)}
    for seconds, trials in ((25.0, 2), (1.0, 1)):  # each look at the clock takes ten seconds
        clock = iter(range(0, 1000, 10))
        tuner = InProcessTuner(tmp_path, lambda clock=clock: float(next(clock)))
        asked = search.Search(space=space, trials=6, seed=1).bounded(seconds)
        assert len(tuner.search(problem, asked).tried) == trials


def test_ray_searches_what_takes_longer_than_ray_takes_to_start() -> None:
    settings = TrainSettings()
    assert search.tuner_for(200_000, wanted(6), settings) == search.IN_PROCESS
    assert search.tuner_for(200_000, wanted(60), settings) == search.RAY
    assert search.tuner_for(5_000, wanted(60), settings) == search.IN_PROCESS
    assert search.tuner_for(200_000, wanted(60), TrainSettings(tuner="in-process")) == (
        search.IN_PROCESS
    )
    assert search.tuner_for(10, wanted().bounded(600.0), settings) == search.RAY
    assert search.tuner_for(10**9, wanted().bounded(30.0), settings) == search.IN_PROCESS


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
