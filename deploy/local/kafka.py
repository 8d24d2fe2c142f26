"""Apache Kafka, KRaft, one node, on the loopback interface: small heap, small internal topics,
nothing created by itself.
"""

# It runs in its folder, whose path is in no properties file: there a comma or an umlaut would mean
# something else.

from __future__ import annotations

import os
import subprocess
import uuid
from base64 import urlsafe_b64encode
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from deploy.local import jars
from deploy.local.child import Spec
from deploy.local.environment import of_machine
from deploy.local.java import Java
from deploy.local.ports import HOST, answers
from twinstream.errors import MeshError
from twinstream.mesh.files import scratch, write_whole

PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller}
advertised.listeners=PLAINTEXT://{host}:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
log.dirs=logs
auto.create.topics.enable=false
default.replication.factor=1
message.max.bytes=8388608
replica.fetch.max.bytes=8388608
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=4
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=3000
num.network.threads=2
num.io.threads=4
num.recovery.threads.per.data.dir=2
log.cleaner.dedupe.buffer.size=16777216
log.segment.bytes=268435456
"""
CONFIGURATION = "server.properties"
LOGGING = (
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSZ",
    "-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info",
)


def spec(
    folder: Path,
    port: int,
    controller_port: int,
    java: Java,
) -> Spec:
    """The broker with its data in `folder`, which is made and formatted on first use."""
    libs = f"{jars.ensure('kafka', java)}/*"
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    text = PROPERTIES.format(host=HOST, port=port, controller=controller_port)
    write_whole(folder / CONFIGURATION, text.encode())
    if not (folder / "logs" / "meta.properties").exists():
        _format(folder, java, libs)
    return Spec(
        name="kafka",
        service=False,
        stop_bound_s=20.0,
        probe=_Probe(port),
        cwd=folder,
        argv=_command(folder, java, libs),
    )


def _command(
    folder: Path,
    java: Java,
    libs: str,
) -> list[str]:
    return [
        java.binary,
        "-Xmx512m",
        "-Xms128m",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-XX:-UsePerfData",
        *LOGGING,
        f"-Djava.io.tmpdir={scratch(folder / 'tmp')}",
        "-cp",
        libs,
        "kafka.Kafka",
        CONFIGURATION,
    ]


def _format(
    folder: Path,
    java: Java,
    libs: str,
) -> None:
    """Give the folder its cluster id; the id is kept, so that a torn format is done again with the
    same.
    """
    id_file = folder / "cluster.id"
    if not id_file.exists():
        write_whole(id_file, urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"="))
    done = subprocess.run(
        _format_command(java, libs, id_file.read_text(encoding="ascii")),
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        cwd=folder,
        env=of_machine(os.environ),
        umask=0o077,
    )
    if done.returncode:
        raise MeshError(
            f"Kafka's folder {folder} cannot be formatted: "
            f"{(done.stderr or done.stdout).strip()[-400:]}"
        )


def _format_command(
    java: Java,
    libs: str,
    cluster: str,
) -> list[str]:
    return [
        java.binary,
        "-Xmx128m",
        "-XX:TieredStopAtLevel=1",
        "-cp",
        libs,
        "kafka.tools.StorageTool",
        "format",
        "--ignore-formatted",
        f"--cluster-id={cluster}",
        "-c",
        CONFIGURATION,
    ]


class _Probe:
    """Whether the broker answers a client."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._admin: AdminClient | None = None

    def __call__(self) -> bool:
        if not answers(self._port):
            return False
        try:
            self._admin = self._admin or AdminClient(
                {"bootstrap.servers": f"{HOST}:{self._port}", "log_level": 0}
            )
            return bool(self._admin.list_topics(timeout=2).brokers)
        except KafkaException:
            return False
