"""Names of a model's metrics, as training writes and the command reads them. Pure."""

from __future__ import annotations

from typing import Final

VALIDATION: Final = "validation_"
"""Before the name of a metric: on the validation rows; a plain name is of the test rows."""
CONSTANT, LINEAR, BOOSTING = "baseline_", "linear_", "boosting_"
"""Before the name of a metric: of what the model is compared with, on the same test rows: one
answer for all rows, a linear model, gradient boosting.
"""
BASELINES: Final = {CONSTANT: "one answer", LINEAR: "a linear model", BOOSTING: "boosting"}
"""By the prefix, in words."""
TEMPERATURE: Final = "temperature"
UNCALIBRATED: Final = "uncalibrated_"
"""Before the name of a metric: as it would be without the temperature."""
LOW, HIGH = "_low", "_high"
"""After the name of a metric: the ends of its 95 % interval."""
LEFT_OUT: Final = "left_out"
"""After the prefix of a baseline that has no other metrics: it failed."""
