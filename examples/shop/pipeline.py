"""Will this visitor of a shop buy within an hour? A small pipeline:
the one to copy, and the one that the fault tests drive.

Asked at each visit. Orders and visits arrive live, as files, late, twice.
"""

from twinstream import (
    Bool,
    Decimal,
    Int,
    Label,
    Model,
    Pipeline,
    Source,
    String,
    Timestamp,
    View,
    count,
    count_by,
    distinct,
    first,
    last,
    last_k,
    log_uniform,
    maximum,
    mean,
    minimum,
    quantile,
    share,
    std,
    sum_,
)
from twinstream.nn import TabularNetwork

visits = Source(
    "visits",
    id="visit_id",
    key="shopper",
    event_time="visited_at",
    known_at="visited_at",
    fields={
        "visit_id": String(),
        "shopper": String(),
        "country": String(optional=True),
        "page": String(),
        "visited_at": Timestamp(),
        "seconds": Int(optional=True),
        "mobile": Bool(),
    },
    clean={"seconds": "clip(0, 86400)", "page": "strip"},
)
orders = Source(
    "orders",
    id="order_id",
    key="shopper",
    event_time="ordered_at",
    known_at="ordered_at",
    fields={
        "order_id": String(),
        "visit_id": String(optional=True),
        "shopper": String(),
        "country": String(optional=True),
        "ordered_at": Timestamp(),
        "amount": Decimal(2),
        "items": Int(),
    },
    clean={"items": "between(1, 1000)"},
)

by_shopper = View(
    "by-shopper",
    visits,
    by="shopper",
    features={
        "visits": count().over("1h", "24h", "30d", "all"),
        "seconds": mean("seconds").over("24h", "30d"),
        "mobile": share("mobile").over("30d"),
        "pages": distinct("page").over("24h"),
        "last_seconds": last("seconds").over("24h"),
        "dwell": last_k("seconds", 4).over("3d"),
    },
)
spending = View(
    "spending",
    orders,
    by="shopper",
    features={
        "orders": count().over("24h", "30d", "all"),
        "amount": sum_("amount").over("24h", "30d"),
        "amount_spread": std("amount").over("30d"),
        "smallest": minimum("amount").over("30d"),
        "largest": maximum("amount").over("30d"),
        "first_amount": first("amount").over("30d"),
        "median": quantile("amount", 0.5).over("30d"),
    },
)
by_country = View(
    "by-country",
    orders,
    by="country",
    features={
        "orders": count(where=lambda order: order.amount >= 20).over("1h", "24h"),
        "amount": mean("amount").over("24h"),
        "basket": count_by("items", categories=[1, 2, 3]).over("30d"),
    },
)

# A purchase is known sooner than that there is none, so each visit waits its whole hour.
bought = Label(
    "bought",
    orders,
    on="visit_id",
    horizon="1h",
    value=lambda order: order.amount > 0,
    missing=False,
)

pipeline = Pipeline(
    "shop",
    models=[
        Model(
            "will-buy",
            spine=visits,
            at="visited_at",
            views=[by_shopper, spending, by_country],
            label=bought,
            request=("country", "page", "mobile"),
            derive={"hour": lambda visit: visit.visited_at.hour},
            network=TabularNetwork,
            loss="binary_cross_entropy",
            search={"learning_rate": log_uniform(1e-3, 1e-2)},
            good_enough={"auc": 0.55},
        )
    ],
)
