"""Every knob of this service, read once from the environment."""

from __future__ import annotations

from typing import ClassVar

from twinstream.mesh.knobs import Knobs


class MonitorSettings(Knobs, frozen=True, kw_only=True):
    """Knobs `TWINSTREAM_MONITOR_<NAME>`; the defaults suit one model at up to some hundred
    predictions a second.
    """

    PREFIX: ClassVar[str] = "TWINSTREAM_MONITOR_"

    lookback_days: float = 30.0
    """How far back predictions, labels and dead letters are read again at a start (with the replay
    clock: all of them); predictions and labels at least two horizons of the longest label.
    """
    history_s: int = 1800
    """Seconds of run-time metrics that the page shows."""
    max_kept: int = 1_000_000
    """Predictions, and labels without one, kept in memory at most;
    beyond it the oldest are given up and counted.
    """
    rolling: int = 5000
    """Labelled predictions that the rolling AUC and log loss are taken of."""
    min_labelled: int = 2000
    """Labelled predictions of the serving model before its quality is judged."""
    quality_step: int = 100
    """Labelled predictions between two points of the quality charts."""
    adwin_delta: float = 0.002
    """ADWIN's bound on the chance of a false alarm."""
    reference: int = 5000
    """First predictions of a model that its features are compared with."""
    window: int = 2000
    """Latest predictions that are compared with the reference."""
    drift_step: int = 500
    """Predictions between two comparisons."""
    ks_threshold: float = 0.2
    """Kolmogorov-Smirnov distance from which on a series counts as drifted (its p-value must be
    below 1e-4 too).
    """
    persist_checks: int = 6
    """Comparisons in a row that must find drift before it counts as lasting."""
    drift_quiet_s: float = 600.0
    """Least seconds between two DriftDetected of one series."""
    retrain_quiet_s: float = 3600.0
    """Least seconds between two RetrainRequested of one model."""
