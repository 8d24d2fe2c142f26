"""The soak's pipeline: the benchmarks' view of payments, and a model whose questions are few,
so that epochs of millions of payments need no training set.
"""

from benchmarks.pipeline import by_account
from twinstream import Bool, Label, Model, Pipeline, Source, String, Timestamp, log_uniform
from twinstream.nn import TabularNetwork

asks = Source(
    "asks",
    id="ask_id",
    key="account",
    event_time="asked_at",
    known_at="asked_at",
    fields={"ask_id": String(), "account": String(), "asked_at": Timestamp(), "refused": Bool()},
)
refused = Label(
    "refused",
    asks,
    on="ask_id",
    horizon="1h",
    value=lambda ask: ask.refused,
    missing=False,
    settles="at once",  # the record of the question says it
)
pipeline = Pipeline(
    "soak",
    models=[
        Model(
            "refusal",
            spine=asks,
            at="asked_at",
            views=[by_account],
            label=refused,
            request=(),
            network=TabularNetwork,
            loss="binary_cross_entropy",
            search={"learning_rate": log_uniform(1e-3, 1e-2)},
            good_enough={"auc": 0.5},
        )
    ],
)
