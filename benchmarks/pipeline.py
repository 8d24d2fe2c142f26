"""The benchmarks' pipeline: one stream of payments, three features of one key over three
windows.
"""

from twinstream import (
    Decimal,
    Label,
    Model,
    Pipeline,
    Source,
    String,
    Timestamp,
    View,
    count,
    log_uniform,
    maximum,
    sum_,
)
from twinstream.nn import TabularNetwork

payments = Source(
    "payments",
    id="payment_id",
    key="account",
    event_time="paid_at",
    known_at="paid_at",
    dedupe="1m",
    fields={
        "payment_id": String(),
        "account": String(),
        "paid_at": Timestamp(),
        "cents": Decimal(2),
        "merchant": String(),
    },
)
by_account = View(
    "by-account",
    payments,
    by="account",
    features={
        "payments": count().over("1h", "24h", "30d"),
        "paid": sum_("cents").over("1h", "24h", "30d"),
        "largest": maximum("cents").over("1h", "24h", "30d"),
    },
)
repeated = Label(
    "repeated",
    payments,
    on="payment_id",
    horizon="1h",
    value=lambda payment: payment.cents > 0,
    missing=False,
    settles="at once",  # the record of the question says it
)
pipeline = Pipeline(
    "payments",
    models=[
        Model(
            "none",
            spine=payments,
            at="paid_at",
            views=[by_account],
            label=repeated,
            request=("merchant",),
            network=TabularNetwork,
            loss="binary_cross_entropy",
            search={"learning_rate": log_uniform(1e-3, 1e-2)},
            good_enough={"auc": 0.5},
        )
    ],
)
