"""A view with 20 outputs over the benchmarks' payments: what a predictor reads for a model of
ordinary width.
"""

from __future__ import annotations

from benchmarks.pipeline import payments
from twinstream import View, count, last, maximum, mean, minimum, std, sum_

WINDOWS = ("1h", "24h", "30d")
wide = View(
    "wide",
    payments,
    by="account",
    features={
        "payments": count().over(*WINDOWS),
        "paid": sum_("cents").over(*WINDOWS),
        "usual": mean("cents").over(*WINDOWS),
        "smallest": minimum("cents").over(*WINDOWS),
        "largest": maximum("cents").over(*WINDOWS),
        "latest": last("cents").over(*WINDOWS),
        "spread": std("cents").over(*WINDOWS[1:]),
    },
)
