"""Every knob of the train service, from `TWINSTREAM_TRAIN_<NAME>`."""

from __future__ import annotations

from typing import ClassVar, Literal

from twinstream.mesh.knobs import Knobs


class TrainSettings(Knobs, frozen=True, kw_only=True):
    """How candidates are searched and when a new model is worth making."""

    PREFIX: ClassVar[str] = "TWINSTREAM_TRAIN_"

    tuner: Literal["auto", "ray", "in-process"] = "auto"
    """"auto": this process, unless the search is long (see `small_passes`)."""
    candidates: int = 6
    """Configurations that a search tries; a model's own `search_budget` takes its place."""
    search_rows: int = 40_000
    """Most training rows that a search looks at; the final fit takes all.

    The share is a metric of the model.
    """
    search_epochs: int = 4
    """Passes over the searched rows that the best candidates get;
    successive halving stops the others after 1 or 2.
    """
    small_passes: int = 4_000_000
    """Up to so many rows, times passes, times candidates, a search runs in this process: starting
    Ray would take longer than it saves.
    """
    parallel: int = 2
    """Trials that run at once, each with one thread."""
    max_epochs: int = 8
    """Most passes of the final fit; see `patience`."""
    patience: int = 3
    """Passes without a better validation loss after which the final fit comes to its end: the
    learning rate falls to almost nothing in as many passes, from the best one on.
    """
    batch_size: int = 1024
    """Rows of one optimizer step."""
    threads: int = 2
    """Threads of one PyTorch operation in the final fit; its matrices are too small for many."""
    baseline_rows: int = 100_000
    """Most training rows that a linear model and boosting are fitted on, to be told of beside
    each model; of more, a random part. 0: neither is fitted.
    """
    baseline_rounds: int = 300
    """Most trees of that boosting; the validation rows may end it before."""
    seed: int = 1
    """Makes candidates, initial weights and the order of rows reproducible."""
    min_growth: float = 0.0
    """Share by which a training set must have grown since the last trained one;
    0 trains on every new one.
    """
    margin: float = 0.0
    """By how much (as a share of its loss) a new model must be better than the promoted one on the
    same test rows, with 95 % confidence.
    """
    least_test_rows: int = 100
    """On fewer test rows no model replaces another."""
    nice: int = 10
    """Added to the scheduling niceness while training, so that what answers requests goes first."""
