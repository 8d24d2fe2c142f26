"""Nothing lost, nothing twice: every raw record is in the log once, or dead-lettered,
or a repeat of one that is in the log.
"""

from __future__ import annotations

from collections import Counter, defaultdict

import msgspec
from confluent_kafka import Consumer, TopicPartition

from schemas import packs
from schemas.events import FileAccepted
from schemas.topics import dead_letter, record_sent, records_accepted, topic_of
from tests.faults.feeder import Feeder
from tests.faults.load import Kind
from twinstream.audit.everything import log_messages, log_records
from twinstream.define import Pipeline, Source
from twinstream.mesh.events import EventReader
from twinstream.mesh.settings import MeshSettings

Place = tuple[str, int, int]
"""Source, partition, raw offset."""


class Ledger(msgspec.Struct):
    """What became of all raw records; `wrong` says in words what the laws forbid."""

    raw: int = 0
    acknowledged: int = 0
    in_log: int = 0
    dead_letters: int = 0
    dead_letters_again: int = 0
    repeats_dropped: int = 0
    files: int = 0
    wrong: list[str] = []


def examine(settings: MeshSettings, pipeline: Pipeline, feeder: Feeder) -> Ledger:
    """Reads raw topics, logs and what was dead-lettered, all from their beginning;
    to be called when ingest has caught up.
    """
    ledger = Ledger()
    dead_letters = _dead_letters(settings)
    ledger.dead_letters_again = sum(n - 1 for n in dead_letters.values())
    for source in pipeline.sources:
        logged, known = _one_source(settings, source, dead_letters, ledger)
        _acknowledged(source, feeder, logged, dead_letters, ledger)
        missing = {
            record_id for name, record_id in feeder.over_http if name == source.name
        } - known.keys()
        ledger.wrong += [
            f"{source.name} {record_id} was acknowledged over HTTP and is not in the log"
            for record_id in sorted(missing)[:10]
        ]
    _files(settings, feeder, ledger)
    return ledger


def examine_live(settings: MeshSettings, pipeline: Pipeline) -> Ledger:
    """The same of live records alone, whoever sent them."""
    ledger, dead_letters = Ledger(), _dead_letters(settings)
    ledger.dead_letters_again = sum(n - 1 for n in dead_letters.values())
    for source in pipeline.sources:
        _one_source(settings, source, dead_letters, ledger)
    return ledger


def raw_ends(settings: MeshSettings, source: str) -> dict[int, int]:
    """The end of each partition of a raw topic."""
    return ends(settings, record_sent(source))


def ends(settings: MeshSettings, topic: str) -> dict[int, int]:
    """The end of each partition."""
    consumer = Consumer(settings.kafka_client(group_id="twinstream-fault-ends", log_level=0))
    try:
        return {
            p: consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=20)[1]
            for p in range(settings.partitions)
        }
    finally:
        consumer.close()


def covered(settings: MeshSettings, source: str) -> dict[int, int]:
    """Per partition, the end of what the log covers of the raw topic."""
    high = dict.fromkeys(range(settings.partitions), -1)
    for partition, _, value in log_messages(settings, records_accepted(source)):
        high[partition] = max(high[partition], packs.log_header(value).raw_last)
    return {p: h + 1 for p, h in high.items()}


def _one_source(
    settings: MeshSettings, source: Source, dead_letters: Counter[Place], ledger: Ledger
) -> tuple[dict[Place, str], dict[str, list[int]]]:
    """Account for each raw record; the id of each place in the log, and the known times of each
    id.
    """
    logged: dict[Place, str] = {}
    known: dict[str, list[int]] = defaultdict(list)
    lanes: dict[str, list[int]] = defaultdict(list)
    for k in log_records(settings, source):
        place = (source.name, k.log_partition, k.position & ((1 << 44) - 1))
        if place in logged:
            ledger.wrong.append(f"{place} counts twice in the log")
        logged[place] = str(k.record[source.id_fields[0]])
        known[logged[place]].append(k.known_us)
        lanes[f"{logged[place]} of partition {k.log_partition}"].append(k.known_us)
    _once_each(
        source, lanes, ledger
    )  # ingest finds a repeat only where its first came: an id under two keys is two records
    end = covered(settings, source.name)
    for partition, offset, value in log_messages(settings, record_sent(source.name)):
        place = (source.name, partition, offset)
        ledger.raw += 1
        if offset >= end[partition]:
            ledger.wrong.append(f"{place} is not covered by the log")
        _account(place, _id_of(value, source), logged, dead_letters, known, ledger)
    return logged, known


def _once_each(source: Source, known: dict[str, list[int]], ledger: Ledger) -> None:
    """No id stands twice in the log within the source's horizon."""
    for record_id, times in known.items():
        if any(
            after - before <= source.dedupe_us
            for before, after in zip(sorted(times), sorted(times)[1:], strict=False)
        ):
            ledger.wrong.append(f"{source.name} {record_id} stands {len(times)} times in the log")


def _account(
    place: Place,
    record_id: str | None,
    logged: dict[Place, str],
    dead_letters: Counter[Place],
    known: dict[str, list[int]],
    ledger: Ledger,
) -> None:
    """Exactly one thing became of a raw record."""
    in_log, is_dead = place in logged, place in dead_letters
    ledger.in_log += in_log
    ledger.dead_letters += is_dead
    if in_log and is_dead:
        ledger.wrong.append(f"{place} is in the log and dead-lettered")
    elif not in_log and not is_dead:
        if record_id in known:
            ledger.repeats_dropped += 1
        else:
            ledger.wrong.append(f"{place} (id {record_id}) is neither in the log nor dead-lettered")


def _acknowledged(
    source: Source,
    feeder: Feeder,
    logged: dict[Place, str],
    dead_letters: Counter[Place],
    ledger: Ledger,
) -> None:
    for (name, partition), offsets in feeder.acknowledged.items():
        if name != source.name:
            continue
        ledger.acknowledged += len(offsets)
        for offset, kind in offsets.items():
            place = (name, partition, offset)
            if kind is Kind.POISON and place not in dead_letters:
                ledger.wrong.append(f"{place} is poison and not dead-lettered")
            elif kind is Kind.GOOD and place not in logged:
                ledger.wrong.append(f"{place} is good and not in the log")


def _id_of(value: bytes | None, source: Source) -> str | None:
    try:
        return str(msgspec.json.decode(value or b"")[source.id_fields[0]])
    except (msgspec.DecodeError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _dead_letters(settings: MeshSettings) -> Counter[Place]:
    """How often each raw record was dead-lettered."""
    found: Counter[Place] = Counter()
    prefix = record_sent("").split("..")[0] + "."
    with EventReader(settings, [dead_letter("ingest")]) as reader:
        while not reader.at_end():
            message = reader.poll_raw(0.5)
            if message is None:
                continue
            headers = {
                name: (value or b"").decode(errors="replace")
                for name, value in message.headers() or ()
            }
            topic = headers.get("dead_letter_topic", "")
            if topic.startswith(prefix):
                found[
                    (
                        topic.removeprefix(prefix).removesuffix(".v1"),
                        int(headers["dead_letter_partition"]),
                        int(headers["dead_letter_offset"]),
                    )
                ] += 1
    return found


def accepted_files(settings: MeshSettings) -> Counter[str]:
    """How often each file was accepted."""
    with EventReader(settings, [topic_of(FileAccepted)]) as reader:
        return Counter(
            event.file.uri for event, _ in reader.read_to_end() if isinstance(event, FileAccepted)
        )


def _files(settings: MeshSettings, feeder: Feeder, ledger: Ledger) -> None:
    """Every announced file was accepted once."""
    accepted = accepted_files(settings)
    ledger.files = sum(accepted.values())
    ledger.wrong += [
        f"{uri} was accepted {accepted[uri]} times" for uri in feeder.files if accepted[uri] != 1
    ]
