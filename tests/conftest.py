"""Real engines shared by a test session: each is started when a test first asks for it,
on free ports, and ended at its end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import hypothesis
import msgspec
import pytest

from deploy.local.mesh import EmbeddedMesh
from twinstream.mesh.object_store import ensure_buckets
from twinstream.mesh.settings import MeshSettings

hypothesis.settings.register_profile(
    "twinstream", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)  # machines are shared: no example is timed
hypothesis.settings.load_profile("twinstream")


def _engine(folder: Path, name: str) -> Iterator[EmbeddedMesh]:
    with EmbeddedMesh(folder, engines=[name]) as mesh:
        yield mesh


@pytest.fixture(scope="session")
def broker_mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedMesh]:
    """A mesh of a Kafka broker alone, with the control topics."""
    yield from _engine(tmp_path_factory.mktemp("broker"), "kafka")


@pytest.fixture(scope="session")
def s3_mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedMesh]:
    """A mesh of an S3 server alone."""
    yield from _engine(tmp_path_factory.mktemp("s3"), "s3")


@pytest.fixture(scope="session")
def broker(broker_mesh: EmbeddedMesh) -> str:
    """Bootstrap address of a Kafka broker that all tests of this session share:
    use topics of your own.
    """
    return broker_mesh.settings.kafka


@pytest.fixture(scope="session")
def s3(s3_mesh: EmbeddedMesh) -> MeshSettings:
    """Settings that reach an S3 server which all tests of this session share; its buckets exist."""
    return s3_mesh.settings


def reached(s3: MeshSettings) -> dict[str, str]:
    """What reaches this S3 server."""
    return {
        "TWINSTREAM_S3_ENDPOINT": s3.s3_endpoint,
        "AWS_ACCESS_KEY_ID": s3.access_key,
        "AWS_SECRET_ACCESS_KEY": s3.secret_key,
    }


@pytest.fixture(scope="session")
def hive(tmp_path_factory: pytest.TempPathFactory, s3: MeshSettings) -> Iterator[str]:
    """Thrift address of a Hive metastore, with the shared S3 server behind it."""
    with EmbeddedMesh(tmp_path_factory.mktemp("hive"), engines=["hive"], env=reached(s3)) as mesh:
        yield mesh.settings.hive


@pytest.fixture
def kafka_settings(broker: str, tmp_path: Path) -> MeshSettings:
    """Settings with the shared broker and a data folder of this test."""
    return MeshSettings(pipeline="none", data=str(tmp_path / "data"), kafka=broker)


@pytest.fixture
def mesh_settings(broker: str, s3: MeshSettings, tmp_path: Path) -> MeshSettings:
    """Settings with the shared broker and S3 server, and buckets and a data folder of this test."""
    own = uuid4().hex[:8]
    settings = msgspec.structs.replace(
        s3,
        kafka=broker,
        data=str(tmp_path / "data"),
        bucket=f"warehouse-{own}",
        raw_bucket=f"raw-{own}",
        model_bucket=f"models-{own}",
    )
    ensure_buckets(settings)
    return settings


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[Callable[..., EmbeddedMesh]]:
    """Starts an EmbeddedMesh of this test's own (arguments as its constructor, without the folder);
    ended with the test.
    """
    started: list[EmbeddedMesh] = []

    def start(**arguments: object) -> EmbeddedMesh:
        mesh = EmbeddedMesh(tmp_path / f"mesh{len(started)}", **arguments)  # type: ignore[arg-type]
        started.append(mesh)
        return mesh.start().wait_ready()

    yield start
    for mesh in reversed(started):
        mesh.stop()
