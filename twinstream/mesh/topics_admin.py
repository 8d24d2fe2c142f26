"""Creates the topics of `schemas.topics` on a broker, and waits until every one has its leaders."""

# As a process: reads the definition, waits for Kafka, creates; exit status 2 when a setting or the
# definition is wrong.

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from typing import Any, Protocol

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from schemas.partials import STATE_BYTES
from schemas.topics import CONTROL_TOPICS, Topic, all_topics
from twinstream.errors import (
    MeshError,
    NotRunningError,
    WaitTimeoutError,
)
from twinstream.mesh.exit_codes import exit_code
from twinstream.mesh.kafka.errors import asking
from twinstream.mesh.settings import MeshSettings

MAX_MESSAGE_BYTES = 2 * STATE_BYTES + (4 << 20)
"""The largest partial there can be, and some room."""


class Defined(Protocol):
    """What of a pipeline is needed here."""

    @property
    def sources(self) -> Iterable[Any]: ...
    @property
    def views(self) -> Iterable[Any]: ...
    @property
    def models(self) -> Iterable[Any]: ...


def ensure(settings: MeshSettings, pipeline: Defined | None = None) -> list[str]:
    """Create what is missing; return the names that were created.

    Without a pipeline: the control topics alone. Raises MeshError when an existing topic has
    another number of partitions.
    """
    wanted = (
        list(CONTROL_TOPICS)
        if pipeline is None
        else list(
            all_topics(
                names(pipeline.sources),
                names(pipeline.views),
                names(pipeline.models),
                wall_clock=settings.clock == "wall",
            )
        )
    )
    return ensure_topics(settings, wanted)


def names(things: Iterable[Any]) -> list[str]:
    """Names of sources or views, given as objects, as a mapping by name, or as names."""
    return [thing if isinstance(thing, str) else thing.name for thing in things]


def ensure_topics(settings: MeshSettings, wanted: Iterable[Topic]) -> list[str]:
    """Create those of `wanted` that are missing and wait until all can be written."""
    admin = AdminClient(settings.kafka_client())
    topics = {topic.name: topic for topic in wanted}
    present = _present(admin)
    _refuse_other_counts(topics, present, settings.partitions)
    missing = [topic for name, topic in topics.items() if name not in present]
    if missing:
        _create(admin, missing, settings)
    _wait_for_leaders(admin, set(topics))
    return [topic.name for topic in missing]


def _present(admin: AdminClient) -> dict[str, int]:
    """Partition count of every topic that is there."""
    with asking("topics"):
        found = admin.list_topics(timeout=15).topics
    return {name: len(topic.partitions) for name, topic in found.items()}


def _refuse_other_counts(
    topics: dict[str, Topic],
    present: dict[str, int],
    partitions: int,
) -> None:
    for name, topic in topics.items():
        count = topic.partitions or partitions
        if name in present and present[name] != count:
            raise MeshError(
                f"topic {name} has {present[name]} partitions and the settings say "
                f"{count}: set TWINSTREAM_PARTITIONS to "
                f"{present[name]}, or start with an empty data folder; "
                "keys would move between partitions"
            )


def _create(
    admin: AdminClient,
    missing: list[Topic],
    settings: MeshSettings,
) -> None:
    futures = admin.create_topics([_new(topic, settings) for topic in missing], request_timeout=30)
    for name, future in futures.items():
        try:
            future.result()
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise MeshError(f"topic {name} cannot be created: {error.args[0].str()}") from error


def _new(topic: Topic, settings: MeshSettings) -> NewTopic:
    return NewTopic(
        topic.name,
        num_partitions=topic.partitions or settings.partitions,
        replication_factor=-1,
        config={
            "cleanup.policy": topic.cleanup,
            "retention.ms": str(topic.retention_ms),
            "retention.bytes": str(topic.retention_bytes),
            "message.timestamp.type": topic.timestamps,
            "max.message.bytes": str(MAX_MESSAGE_BYTES),
        },
    )


def _wait_for_leaders(
    admin: AdminClient,
    wanted: set[str],
    bound_s: float = 30.0,
) -> None:
    give_up = time.monotonic() + bound_s
    while True:
        with asking("leaders of topics"):
            topics = admin.list_topics(timeout=15).topics
        waiting = {
            n
            for n in wanted
            if n not in topics or any(p.leader < 0 for p in topics[n].partitions.values())
        }
        if not waiting:
            return
        if time.monotonic() > give_up:
            raise WaitTimeoutError(
                f"no leader after {bound_s} s for {sorted(waiting)[:3]}: see the broker's log"
            )
        time.sleep(0.05)


def main(bound_s: float = 120.0) -> None:
    """Create the topics of the mesh that the environment names; ends the process with a message
    when that fails.
    """
    from twinstream.mesh.pipeline_file import load

    try:
        settings = MeshSettings.from_env()
        pipeline = load(settings.pipeline)
        _wait_for_kafka(settings, bound_s)
        ensure(settings, pipeline)
    except MeshError as error:
        print(error, file=sys.stderr)
        sys.exit(exit_code(error))


def _wait_for_kafka(settings: MeshSettings, bound_s: float) -> None:
    admin = AdminClient(settings.kafka_client(log_level=0))
    give_up = time.monotonic() + bound_s
    while True:
        try:
            admin.list_topics(timeout=2)
        except KafkaException as error:
            if time.monotonic() > give_up:
                raise NotRunningError(
                    f"Kafka at {settings.kafka} did not answer within {bound_s} s: "
                    f"{error.args[0].str()}"
                ) from error
        else:
            return


if __name__ == "__main__":
    main()
