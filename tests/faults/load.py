"""Records of the shop example as the fault tests send them: heavy-tailed keys, late, repeated,
and poisoned.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from enum import Enum

import msgspec

HOUR_US = 3_600_000_000
COUNTRIES = ("CH", "DE", "FR", "IT", "", None)
PAGES = tuple(f"/item/{n}" for n in range(40))


class Kind(Enum):
    """What ingest must do with a record."""

    GOOD = "good"
    REPEATED = "repeated"
    POISON = "poison"


class Sent(msgspec.Struct, frozen=True):
    """One raw message of a source."""

    source: str
    key: bytes | None
    value: bytes | None
    kind: Kind
    id: str = ""


class Load:
    """An endless, seeded stream of raw messages; visits outnumber orders by nine to one."""

    def __init__(
        self,
        seed: int,
        now_us: int,
        *,
        shoppers: int = 500,
        poison: float = 0.01,
        repeated: float = 0.02,
    ) -> None:
        self._random = random.Random(seed)
        self._now_us, self._shoppers, self._poison, self._repeated = (
            now_us,
            shoppers,
            poison,
            repeated,
        )
        self._seed, self._number = seed, 0
        self._recent: list[Sent] = []

    def __iter__(self) -> Iterator[Sent]:
        while True:
            yield self.next()

    def next(self) -> Sent:
        """The next message."""
        dice = self._random.random()
        if dice < self._poison:
            return self._poisoned()
        if dice < self._poison + self._repeated and self._recent:
            again = self._random.choice(self._recent)
            return Sent(again.source, again.key, again.value, Kind.REPEATED, again.id)
        sent = self._visit() if self._random.random() < 0.9 else self._order()
        self._recent = [*self._recent[-200:], sent]
        return sent

    def _moment(self) -> int:
        """Event times: most within the hour, some late by hours, a few by days."""
        late = self._random.choices((0.5, 12.0, 24.0 * 20), weights=(90, 8, 2))[0]
        return self._now_us - int(self._random.random() * late * HOUR_US)

    def _shopper(self) -> str:
        return f"shopper-{min(int(self._random.paretovariate(0.9)), self._shoppers)}"

    def _id(self, kind: str) -> str:
        self._number += 1
        return f"{kind}-{self._seed}-{self._number}"

    def _visit(self) -> Sent:
        shopper, visit = self._shopper(), self._id("visit")
        record = {
            "visit_id": visit,
            "shopper": shopper,
            "country": self._random.choice(COUNTRIES),
            "page": self._random.choice(PAGES),
            "visited_at": self._moment(),
            "seconds": self._random.choice((None, self._random.randrange(1, 5000))),
            "mobile": self._random.random() < 0.6,
        }
        return Sent("visits", shopper.encode(), msgspec.json.encode(record), Kind.GOOD, visit)

    def _order(self) -> Sent:
        shopper, order = self._shopper(), self._id("order")
        record = {
            "order_id": order,
            "visit_id": f"visit-{self._seed}-{self._random.randrange(self._number + 1)}",
            "shopper": shopper,
            "country": self._random.choice(COUNTRIES),
            "ordered_at": self._moment(),
            "amount": round(
                self._random.lognormvariate(3, 1.2) * self._random.choice((1, 1, 1, -1)), 2
            ),
            "items": self._random.randrange(1, 6),
        }
        return Sent("orders", shopper.encode(), msgspec.json.encode(record), Kind.GOOD, order)

    def _poisoned(self) -> Sent:
        broken = self._random.randrange(6)
        good = self._visit()
        record = msgspec.json.decode(good.value or b"")
        if broken == 0:
            return Sent("visits", good.key, b'{"visit_id": ', Kind.POISON)
        if broken == 1:
            return Sent("visits", good.key, None, Kind.POISON)
        if broken == 2:
            return Sent(
                "visits", good.key, msgspec.json.encode(record | {"seconds": "many"}), Kind.POISON
            )
        if broken == 3:
            return Sent(
                "visits", None, msgspec.json.encode(record | {"shopper": None}), Kind.POISON
            )
        if broken == 4:
            return Sent("visits", good.key, b"[" + b" " * 2_000_000 + b"]", Kind.POISON)
        return Sent(
            "visits",
            good.key,
            msgspec.json.encode(record | {"visited_at": "1066-10-14T09:00:00Z"}),
            Kind.POISON,
        )
