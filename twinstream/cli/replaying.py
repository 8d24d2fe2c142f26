"""Sends the original of a dead letter through the door that it came by."""

from __future__ import annotations

from schemas.topics import PARTITIONER
from twinstream.cli.sending import exact_record
from twinstream.define.pipeline import Pipeline
from twinstream.errors import UNDECODABLE, RecordError
from twinstream.mesh.dead_letter_reader import Letter
from twinstream.mesh.events import EventPublisher, Place
from twinstream.mesh.settings import MeshSettings
from twinstream.protocol.record_key import key_of
from twinstream.protocol.replay import Door, Origin, door


class Sender:
    """Sends, one at a time; `events` is for what is to be said of it."""

    def __init__(self, settings: MeshSettings, pipeline: Pipeline) -> None:
        self.events = EventPublisher(settings, "/cli", partitioner=PARTITIONER)
        self._pipeline = pipeline

    def send(
        self,
        letter: Letter,
        original: bytes,
        *,
        corrected: bool,
    ) -> Place:
        """The place where Kafka has it now; raises RecordError when there is no door for it,
        PublishError.
        """
        sources = {source.name for source in self._pipeline.sources}
        found = door(origin_of_letter(letter), original, sources, corrected=corrected)
        key = keyed(self._pipeline, found) if found.source else found.key
        place = self.events.publish_raw(
            found.topic, found.value, key, found.headers, partition=found.partition
        )
        if place is None:
            raise RecordError(f"{letter.id}: Kafka did not say where it is")
        return place


def keyed(pipeline: Pipeline, found: Door) -> bytes | None:
    """The Kafka key of a record, by the same rule as every sender's; raises RecordError for what is
    not a JSON object.
    """
    try:
        record = exact_record.decode(found.value)
    except UNDECODABLE as error:
        raise RecordError(f"the corrected record is not a JSON object: {error}") from error
    return key_of(pipeline.source(found.source), record)


def origin_of_letter(letter: Letter) -> Origin:
    """What a letter says of its original."""
    partition = letter.fact("partition")
    number = (
        int(partition)
        if partition.isascii() and partition.isdigit() and len(partition) < 10
        else -1
    )
    return Origin(
        topic=letter.fact("topic"),
        partition=number,
        source=letter.fact("x_source"),
        uri=letter.fact("x_uri"),
        key=letter.key,
        headers=letter.carried,
    )
