import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch

from tests.unit.train.material import learnable, shop, statistics
from train_svc.optimizer import LAST, AdamW, one_cycle
from train_svc.rows import TrainingImpossibleError, split_rows
from train_svc.training import TrainingConfig, fit
from twinstream.features.inputs import Inputs

QUICK = TrainingConfig(
    max_epochs=6, batch_size=256, learning_rate=5e-3, threads=1, arguments={"width": 32}
)


def test_the_network_learns_from_numbers_nulls_categories_and_sequences() -> None:
    pipeline, table = shop(), learnable(shop())
    network, metrics = fit(table, pipeline.models[0].inputs, statistics(pipeline, table), QUICK)
    assert metrics["auc"] > 0.8
    assert metrics["validation_auc"] > 0.8
    assert (metrics["train_rows"], metrics["validation_rows"], metrics["rows"]) == (2800, 600, 600)
    assert not network.training


def test_training_twice_gives_the_same_bytes() -> None:
    pipeline, table = shop(), learnable(shop(), rows=1000)
    given = (
        table,
        pipeline.models[0].inputs,
        statistics(pipeline, table),
        TrainingConfig(max_epochs=2, batch_size=256, threads=1),
    )
    (first, a), (second, b) = fit(*given), fit(*given)
    assert a == b
    assert all(
        torch.equal(x, y)
        for x, y in zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    )


def test_a_variant_is_trained_alike_from_a_subset_of_the_inputs() -> None:
    pipeline, table = shop(), learnable(shop())
    inputs = Inputs.of(pipeline.models[0].inputs)
    _, without = fit(table, inputs.request_only(), statistics(pipeline, table), QUICK)
    _, whole = fit(table, inputs, statistics(pipeline, table), QUICK)
    assert 0.5 < without["auc"] < whole["auc"] - 0.05


def test_the_split_follows_time_and_its_bounds_lie_in_the_earlier_part() -> None:
    table = learnable(shop(), rows=100)
    at = table["_at_us"].to_numpy()
    given = {"train_until_us": int(at[69]), "validation_until_us": int(at[84])}
    whole = (range(70), range(70, 85), range(85, 100))
    assert split_rows(table, {"split": given}) == whole == split_rows(table, {})
    purged_us = int(at[3] - at[0])
    found = split_rows(table, {"split": {**given, "purged_us": purged_us}})
    assert found == (range(67), range(70, 82), range(85, 100))


def test_when_no_pass_is_better_the_rate_falls_and_the_best_pass_is_kept() -> None:
    losses, rates, metrics = watched(
        TrainingConfig(max_epochs=30, patience=2, batch_size=32, learning_rate=2e-2, threads=1)
    )
    stopped = first_without_gain(losses, patience=2)
    assert metrics["epochs"] == len(losses) == stopped + 2 < 30
    assert rates[stopped - 1] > 0.3 * max(rates)
    assert rates[-1] == pytest.approx(LAST * 2e-2)
    assert metrics["best_epoch"] == int(np.argmin(losses)) + 1
    assert metrics["validation_log_loss"] == pytest.approx(min(losses), rel=1e-5)


def test_the_passes_in_which_the_rate_falls_make_a_better_network() -> None:
    """Beside the best of those before them, which is where a training used to end."""
    gains = []
    for seed in range(1, 6):
        config = TrainingConfig(
            max_epochs=12, batch_size=256, learning_rate=1e-2, threads=1, seed=seed
        )
        losses, _, _ = watched(config, rows=4000)
        gains.append(min(losses[: first_without_gain(losses, 3)]) - min(losses))
    assert min(gains) >= 0
    assert np.mean(gains) > 0.002


def test_a_training_that_is_told_to_stop_stops() -> None:
    losses, _, _ = watched(TrainingConfig(max_epochs=5, threads=1), stop_at=2)
    assert len(losses) == 2


def test_moments_that_are_not_finite_begin_at_nothing_again() -> None:
    """Else a pass that diverged would spoil the passes from the best one too."""
    network = torch.nn.Linear(1, 1)
    optimizer = AdamW(network, peak=1.0, steps=10, weight_decay=0.0)
    optimizer._first.fill_(float("nan"))
    optimizer.cool_down(1)
    assert bool((optimizer._first == 0).all())


def watched(
    config: TrainingConfig, rows: int = 1000, stop_at: int = 0
) -> tuple[list[float], list[float], dict[str, float]]:
    """Validation losses and rates after each pass, and the metrics."""
    pipeline, table = shop(), learnable(shop(), rows=rows)
    inputs, known = Inputs.of(pipeline.models[0].inputs), statistics(pipeline, table)
    losses: list[float] = []
    rates: list[float] = []
    kept: list[AdamW] = []
    given = AdamW.__init__

    def made(optimizer: AdamW, *arguments: Any, **named: Any) -> None:
        given(optimizer, *arguments, **named)
        kept.append(optimizer)

    def remember(epoch: int, loss: float) -> bool:
        losses.append(loss)
        rates.append(kept[0].rate)
        return epoch == stop_at

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(AdamW, "__init__", made)
        _, metrics = fit(table, inputs, known, config, on_epoch=remember)
    return losses, rates, metrics


def first_without_gain(losses: list[float], patience: int) -> int:
    """The pass after which `patience` passes were no better than the best before them."""
    for passes in range(1, len(losses) + 1):
        if passes - (int(np.argmin(losses[:passes])) + 1) >= patience:
            return passes
    return len(losses)


def test_one_answer_only_is_refused_with_what_is_missing() -> None:
    pipeline, table = shop(), learnable(shop(), rows=200)
    same = table.set_column(table.column_names.index("_label"), "_label", [np.zeros(200)])
    with pytest.raises(TrainingImpossibleError, match="all 140 labels of the train part are 0"):
        fit(same, pipeline.models[0].inputs, statistics(pipeline, table), QUICK)


def test_training_loads_neither_ray_nor_the_compiler() -> None:
    code = """
import sys
from tests.unit.train.material import learnable, shop, statistics
from train_svc.training import TrainingConfig, fit
pipeline, table = shop(), learnable(shop(), rows=200)
fit(table, pipeline.models[0].inputs, statistics(pipeline, table), TrainingConfig(max_epochs=1, threads=1))
print([name for name in ("ray", "torch._dynamo") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_the_optimizer_takes_the_same_steps_as_the_reference() -> None:
    torch.manual_seed(1)
    ours, theirs = torch.nn.Linear(5, 3), torch.nn.Linear(5, 3)
    theirs.load_state_dict(ours.state_dict())
    reference = torch.optim.AdamW(theirs.parameters(), lr=0.1, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(reference, lambda step: one_cycle(step, 20, 1.0))
    optimizer = AdamW(ours, peak=0.1, steps=20, weight_decay=0.01)
    for _ in range(20):
        x = torch.randn(8, 5)
        optimizer.step(ours(x).pow(2).mean())
        reference.zero_grad()
        theirs(x).pow(2).mean().backward()
        torch.nn.utils.clip_grad_norm_(theirs.parameters(), 1.0)
        reference.step()
        schedule.step()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
