"""A slice of the poison run on the mesh of the end-to-end tests, after them:
nothing is lost, nothing stops, good inputs pass.
"""

from __future__ import annotations

import pytest

from tests.e2e.shop import Shop
from tests.poison.run import play

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(1200)]


def test_poison_stops_nothing_and_is_accounted_for(shop: Shop) -> None:
    verdict = play(shop, inputs=600, seed=7)
    assert verdict.wrong == []
    assert verdict.keys_compared > 300
