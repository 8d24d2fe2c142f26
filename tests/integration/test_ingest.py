"""Ingest against a real broker and a real S3 server: nothing lost, nothing counted twice,
whatever happens to the process.
"""

import hashlib
import http.client
import io
import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deploy.local.mesh import EmbeddedMesh
from schemas import packs
from schemas.events import DataArrived, EpochSealed, EpochSealRequested, FileAccepted, FileRef
from schemas.topics import dead_letter, records_accepted, topic_of
from tests.integration.ingest_rig import Rig, all_messages, order, wait_for
from twinstream.audit.everything import log_messages
from twinstream.mesh.events import EventPublisher, EventReader
from twinstream.mesh.object_store import ObjectStore, ensure_buckets

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedMesh]:
    """A broker whose control topics belong to this file alone, and an S3 server."""
    with EmbeddedMesh(tmp_path_factory.mktemp("ingest"), engines=["kafka", "s3"]) as mesh:
        ensure_buckets(mesh.settings)
        yield mesh


@pytest.fixture
def rig(engines: EmbeddedMesh, tmp_path: Path) -> Iterator[Rig]:
    found = Rig(engines.settings, engines.env, tmp_path)
    yield found
    found.close()


def test_every_good_record_counts_once_when_the_process_is_killed_under_load(rig: Rig) -> None:
    total, poison = 50_000, b'{"order": 1}'
    process = rig.start()
    rig.wait_ready(process)
    for part in range(10):
        numbers = range(part * 5000, part * 5000 + 5000)
        rig.send([*map(order, numbers), poison, *map(order, numbers[::50])])
        if part in {2, 5, 7}:
            process.kill()
            process.wait(10)
            process = rig.start()
    rig.wait_covered()
    assert rig.stop(process) == 0
    counted = rig.counted()
    assert len(counted) == total
    assert set(counted) == {f"o{n}" for n in range(total)}
    dead_letters = rig.dead_letters()
    assert len(dead_letters) == len({(p, o) for p, o, _, _ in dead_letters}) == 10
    assert {original for _, _, original, _ in dead_letters} == {poison}


def test_every_good_record_counts_once_when_a_paused_worker_wakes_up_beside_its_successor(
    rig: Rig,
) -> None:
    first = rig.start("1")
    rig.wait_ready(first, "ingest@1")
    second = rig.start("2")
    rig.wait_ready(second, "ingest@2")
    for part in range(12):
        rig.send(map(order, range(part * 1000, part * 1000 + 1000)))
        if part == 3:
            first.send_signal(signal.SIGSTOP)
            rig.send(map(order, range(3000, 3500)))
            rig.wait_covered()
        if part == 6:
            first.send_signal(signal.SIGCONT)
        if part == 9:
            second.send_signal(signal.SIGKILL)
            second.wait(10)
    rig.wait_covered()
    assert sorted(rig.counted()) == sorted(f"o{n}" for n in range(12_000))


def test_what_is_bad_is_dead_with_its_bytes_place_and_reason(rig: Rig) -> None:
    bad: list[tuple[bytes | None, str]] = [
        (b"{", "JSON"),
        (b"", "JSON"),
        (b"[1]", "object"),
        (None, "tombstone"),
        (order(1).replace(b'"b1"', b"7"), "buyer"),
        (order(1).replace(b'"b1"', b"null"), "buyer"),
        (order(1).replace(b'"b1"', b'"' + b"k" * 481 + b'"'), "480"),
        (order(1)[:-1] + b',"more":"' + b"x" * 2_000_000 + b'"}', "1000000"),
    ]
    process = rig.start()
    rig.wait_ready(process)
    rig.send([order(0), *(value for value, _ in bad), order(1)], partition=1)
    rig.wait_covered()
    assert rig.counted() == ["o0", "o1"]
    dead_letters = sorted(rig.dead_letters())
    assert [(p, o, original) for p, o, original, _ in dead_letters] == [
        (1, i + 1, value or b"") for i, (value, _) in enumerate(bad)
    ]
    for (_, _, _, reason), (_, expected) in zip(dead_letters, bad, strict=True):
        assert expected in reason


def test_each_partition_gets_one_barrier_and_tells_its_place_when_an_epoch_is_sealed_under_load(
    rig: Rig,
) -> None:
    publisher = EventPublisher(rig.settings, "/test")
    process = rig.start()
    rig.wait_ready(process)
    rig.send(map(order, range(2000)))
    for epoch in (1, 2):
        publisher.publish(EpochSealRequested(epoch=epoch))
        rig.send(map(order, range(epoch * 2000, epoch * 2000 + 2000)))
        if epoch == 1:
            process.kill()
            process.wait(10)
            process = rig.start()
    rig.wait_covered()
    wait_for(
        lambda: {(s.epoch, s.partition) for s in sealed(rig)} == {(1, 0), (1, 1), (2, 0), (2, 1)},
        "sealed",
    )
    assert {(s.epoch, s.partition): (s.offset, s.raw_high) for s in sealed(rig)} == barriers(rig)
    assert len(rig.counted()) == 6000


def sealed(rig: Rig) -> list[EpochSealed]:
    with EventReader(rig.settings, [topic_of(EpochSealed)]) as reader:
        return [
            e
            for e, _ in reader.read_to_end()
            if isinstance(e, EpochSealed) and e.source == rig.source.name
        ]


def barriers(rig: Rig) -> dict[tuple[int, int], tuple[int, int]]:
    """The first barrier of each epoch and partition, as readers of the log find it."""
    found: dict[tuple[int, int], tuple[int, int]] = {}
    high = [-1] * rig.settings.partitions
    for partition, offset, value in log_messages(rig.settings, records_accepted(rig.source.name)):
        header = packs.decode_header(value)
        if header.kind == packs.BARRIER:
            found.setdefault((header.epoch, partition), (offset, high[partition]))
        high[partition] = max(high[partition], header.raw_last)
    return found


def test_files_are_accepted_once_and_pinned_and_bad_ones_are_dead_lettered_with_the_reason(
    rig: Rig,
) -> None:
    uris = put_files(rig)
    publisher = EventPublisher(rig.settings, "/test")
    process = rig.start()
    good = {name: uri for name, (uri, _) in uris.items() if name.startswith("good")}
    files = [FileRef(uri=uri, sha256=digest) for uri, digest in uris.values()]
    for _ in range(2):
        publisher.publish(DataArrived(source=rig.source.name, files=files))
    publisher.publish(DataArrived(source="nobody", files=files[:1]))
    wait_for(lambda: len(refusals(rig)) == 11, "refusals")
    with EventReader(rig.settings, [topic_of(FileAccepted)]) as reader:
        accepted = [
            e
            for e, _ in reader.read_to_end()
            if isinstance(e, FileAccepted) and e.source == rig.source.name
        ]
    assert {e.file.uri: e.format for e in accepted} == {
        good["good.parquet"]: "parquet",
        good["good.csv"]: "csv",
        good["good.jsonl"]: "jsonl",
    }
    assert len(accepted) == 3
    assert all(
        e.file.version_id and len(e.file.sha256) == 64 and e.file.size_bytes for e in accepted
    )
    assert next(e.file.rows for e in accepted if e.format == "parquet") == 100
    reasons = refusals(rig)
    assert all(
        any(word in reason for reason in reasons)
        for word in ("SHA-256", "not there", "format", "amount", "none of the first", "nobody")
    )
    assert rig.stop(process) == 0


def put_files(rig: Rig) -> dict[str, tuple[str, str]]:
    """URI and digest (as an event would say it) of good and bad files by name."""
    store = ObjectStore(rig.settings)
    rows = [json.loads(order(n)) for n in range(100)]
    table = pa.Table.from_pylist(rows)
    csv = "order,buyer,at,amount,items\n" + "".join(
        f"{r['order']},{r['buyer']},{r['at']},{r['amount']},{r['items']}\n" for r in rows
    )
    lines = b"\n".join(order(n) for n in range(100)) + b"\n"
    contents = {
        "good.parquet": parquet(table),
        "good.csv": csv.encode(),
        "good.jsonl": lines,
        "bad-columns.parquet": parquet(table.drop(["amount"])),
        "bad-lines.jsonl": b"{}\n{}\n",
        "bad-digest.csv": csv.encode(),
        "bad-format.xml": b"<a/>",
    }
    found = {}
    for name, data in contents.items():
        uri = f"s3://{rig.settings.raw_bucket}/{rig.source.name}/{name}"
        store.put_uri(uri, data)
        found[name] = (
            uri,
            "0" * 64 if name == "bad-digest.csv" else hashlib.sha256(data).hexdigest(),
        )
    return {
        **found,
        "missing": (f"s3://{rig.settings.raw_bucket}/{rig.source.name}/missing.csv", ""),
    }


def parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


def refusals(rig: Rig) -> list[str]:
    headers = [
        {name: value.decode() for name, value in m.headers()}
        for m in all_messages(rig.settings.kafka, dead_letter("ingest"))
    ]
    return [
        h["dead_letter_reason"] for h in headers if h["dead_letter_topic"] == topic_of(DataArrived)
    ]


@pytest.fixture
def post(rig: Rig) -> Callable[[str, bytes], tuple[int, dict]]:
    process = rig.start(module="ingest_svc.http_api", TWINSTREAM_INGEST_HTTP_BODY_BYTES="100000")
    rig.wait_ready(process, "ingest-http")

    def call(path: str, body: bytes) -> tuple[int, dict]:
        connection = http.client.HTTPConnection(
            rig.settings.http_host, rig.settings.ingest_port, timeout=20
        )
        connection.request("POST", path, body)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())

    return call


def test_records_sent_over_http_are_in_kafka_when_the_answer_comes(
    rig: Rig, post: Callable[[str, bytes], tuple[int, dict]]
) -> None:
    path = f"/v1/records/{rig.source.name}"
    status, answer = post(path, order(0))
    assert (status, answer["accepted"], answer["rejected"]) == (200, 1, [])
    status, answer = post(path, b"[" + b",".join(order(n) for n in range(1, 50)) + b"]")
    assert (status, answer["accepted"]) == (200, 49)
    assert {int(p): o + 1 for p, o in answer["position"][rig.source.name].items()} == {
        p: end for p, end in enumerate(rig.raw_ends()) if end
    }
    status, answer = post(path, order(50) + b"\n{}\n" + order(51))
    assert (status, answer["accepted"], [r["index"] for r in answer["rejected"]]) == (207, 2, [1])
    assert post(path, b"{}")[0] == 400
    assert post(path, b" ")[0] == 400
    assert post(path, order(1) + b" " * 100_000)[0] == 413
    assert post("/v1/records/nobody", order(0))[0] == 404
    assert post("/v1/nowhere", b"")[0] == 404
    process = rig.start()
    rig.wait_ready(process)
    rig.wait_covered()
    assert sorted(rig.counted()) == sorted(f"o{n}" for n in range(52))


def test_an_arrival_sent_over_http_is_in_kafka_when_the_answer_comes(
    rig: Rig, post: Callable[[str, bytes], tuple[int, dict]]
) -> None:
    event = {"source": rig.source.name, "files": [{"uri": "s3://b/k.csv", "sha256": ""}]}
    assert post("/v1/data-arrived", json.dumps(event).encode()) == (202, {"accepted": 1})
    with EventReader(rig.settings, [topic_of(DataArrived)]) as reader:
        assert any(
            isinstance(e, DataArrived) and e.source == rig.source.name
            for e, _ in reader.read_to_end()
        )
    assert post("/v1/data-arrived", b"{}")[0] == 400
    assert post("/v1/data-arrived", json.dumps({**event, "source": "nobody"}).encode())[0] == 404
