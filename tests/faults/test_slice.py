"""A short slice of the fault run: each service killed once, an epoch ended under load,
then every key and every record.
"""

from pathlib import Path

import pytest

from tests.faults.arena import Arena

pytestmark = [pytest.mark.engine, pytest.mark.slow]


@pytest.mark.timeout(900)
def test_killed_services_lose_and_invent_nothing(tmp_path: Path) -> None:
    with Arena(tmp_path / "mesh", seed=11, rate_per_s=120.0, limit=20_000, second=False) as arena:
        arena.feeder.start()
        for name in ("ingest", "speed", "view", "predict"):
            arena.feeder.send(100)
            assert arena.kill(name)
        arena.feeder.publish_file(arena.store, arena.events)
        arena.seal()
        arena.wait(lambda: "history_appended" in arena.mesh.log("batch"), "the epoch being folded")
        assert arena.kill("batch")
        assert arena.kill("view")
        arena.ready()
        arena.wait(lambda: arena.landed() == 1, "the epoch landed")
        arena.quiesce()
        found = arena.compare(plain_one_in=4)
        assert found.compared > 100
        assert found.different == 0, found.examples
        assert found.plain_different == 0, found.plain_examples
        ledger = arena.examine()
        assert ledger.wrong == []
        assert ledger.acknowledged > 400
        assert ledger.dead_letters > 0
