"""One mesh of the shop example for all end-to-end tests: files and live records are in,
an epoch is sealed, a model answers.
"""

from collections.abc import Iterator

import pytest

from tests.e2e.shop import Shop


@pytest.fixture(scope="package")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    made = Shop(tmp_path_factory.mktemp("shop") / "mesh")
    try:
        yield made.begin()
    finally:
        made.mesh.stop()
