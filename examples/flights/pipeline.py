"""Will this flight arrive 15 or more minutes late? Asked 30 minutes before its scheduled departure.

Flights out of New York: what is known then of the origin, the carrier, the destination,
the aircraft and the sky.
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
    choice,
    count,
    last,
    last_k,
    log_uniform,
    mean,
    quantile,
    share,
    uniform,
)

# Embeddings, normalised numbers, a GRU over sequences; any nn.Module will do.
from twinstream.nn import TabularNetwork

flight = {
    "flight_id": String(),
    "origin": String(),
    "carrier": String(),
    "destination": String(),
    "tail": String(optional=True),  # blank on flights that were cancelled early
}

schedules = Source(
    "schedules",
    id="flight_id",
    key="origin",
    event_time="asked_at",
    known_at="asked_at",  # 30 minutes before scheduled_at
    fields={
        **flight,
        "asked_at": Timestamp(),
        "scheduled_at": Timestamp(),
        "distance_miles": Int(),
    },
)
departures = Source(
    "departures",
    id="flight_id",
    key="origin",
    event_time="departed_at",
    known_at="departed_at",
    fields={
        **flight,
        "departed_at": Timestamp(),
        "delay_minutes": Int(optional=True),
        "cancelled": Bool(),
    },
)
arrivals = Source(
    "arrivals",
    id="flight_id",
    key="tail",
    event_time="arrived_at",
    known_at="arrived_at",
    fields={**flight, "arrived_at": Timestamp(), "delay_minutes": Int(optional=True)},
)
weather = Source(
    "weather",
    id=("origin", "observed_at"),
    key="origin",
    event_time="observed_at",
    known_at="observed_at",
    fields={
        "origin": String(),
        "observed_at": Timestamp(),
        "wind_mph": Decimal(2, optional=True),
        "visibility_miles": Decimal(2),
        "precipitation_inches": Decimal(2),
        "humidity": Decimal(2, optional=True),
        "pressure_millibars": Decimal(1, optional=True),
    },
    clean={
        "wind_mph": "clip(0, 200)"
    },  # live records and files pass the same rules; what breaks a rule is dead-lettered
)

recent = ("1h", "3h", "24h", "30d")


def punctuality(name: str, by: str | tuple[str, ...]) -> View:
    """Departures of one key, from the last hour to the last month."""
    return View(
        name,
        departures,
        by=by,
        features={
            "delay": mean("delay_minutes").over(*recent),
            "late": share(lambda departure: departure.delay_minutes >= 15).over(*recent),
            "delay_p90": quantile("delay_minutes", 0.9).over("24h"),
            "cancelled": share("cancelled").over("3h", "24h"),
            "departures": count().over("1h", "24h"),
        },
    )


def landings(name: str, by: str | tuple[str, ...]) -> View:
    """Arrivals of one key: what the day is like in the air and at the other end."""
    return View(
        name,
        arrivals,
        by=by,
        features={
            "delay": mean("delay_minutes").over("3h", "24h", "30d"),
            "late": share(lambda arrival: arrival.delay_minutes >= 15).over("3h", "24h", "30d"),
        },
    )


views = [
    punctuality("by-origin", "origin"),
    punctuality("by-carrier", "carrier"),
    punctuality("by-destination", "destination"),
    punctuality("by-route", ("origin", "carrier")),
    landings("landed-origin", "origin"),
    landings("landed-carrier", "carrier"),
    landings("landed-destination", "destination"),
    View(
        "by-tail",
        arrivals,
        by="tail",
        features={
            "last_delay": last("delay_minutes").over("24h"),
            "legs": last_k("delay_minutes", 8).over("3d"),
        },
    ),
    View(
        "sky",
        weather,
        by="origin",
        features={
            "wind": last("wind_mph").over("3h"),
            "visibility": last("visibility_miles").over("3h"),
            "precipitation": last("precipitation_inches").over("3h"),
            "humidity": last("humidity").over("3h"),
            "pressure": last("pressure_millibars").over("3h"),
        },
    ),
]

late = Label(
    "late",
    arrivals,
    on="flight_id",
    horizon="24h",
    value=lambda arrival: arrival.delay_minutes >= 15,
    missing=True,  # no arrival within the horizon: cancelled or sent elsewhere, which is late
)

pipeline = Pipeline(
    "flights",
    models=[
        Model(
            "late-arrival",
            spine=schedules,
            at="asked_at",
            views=views,
            label=late,
            request=("origin", "carrier", "destination", "distance_miles"),
            derive={
                "minute_of_day": lambda asked: asked.scheduled_at.minute_of_day,
                "weekday": lambda asked: asked.scheduled_at.weekday,
            },
            network=TabularNetwork,
            loss="binary_cross_entropy",
            search={
                "width": choice(64, 128, 256),
                "dropout": uniform(0.0, 0.3),
                "learning_rate": log_uniform(1e-4, 1e-2),
            },
            good_enough={"auc": 0.75},
        )
    ],
)
