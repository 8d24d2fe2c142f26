"""What became of the poison: every input is accepted, a repeat, or a dead letter;
every service is ready; good inputs pass.
"""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import msgspec
import pyarrow.parquet as pa_parquet

from schemas.events import FileAccepted, PredictionServed, ViewPublished
from schemas.topics import SERVICES, dead_letter, history_path, topic_of
from tests.e2e.shop import Shop, query
from tests.faults.ledger import covered, examine_live, raw_ends
from tests.poison.throw import Throwing
from twinstream.audit.compare import audit
from twinstream.audit.rebuild import rebuild
from twinstream.define import Source
from twinstream.mesh.events import EventReader, pass_over
from twinstream.mesh.object_store import ObjectStore, split_uri
from twinstream.protocol.predictions import find_row

GOOD_WITHIN_S = 10.0
QUIET_S = 5.0


class Verdict(msgspec.Struct, kw_only=True):
    """`wrong` says in words what must not be; empty when all is as promised."""

    thrown: dict[str, int] = {}
    raw_records: int = 0
    in_log: int = 0
    repeats: int = 0
    dead_letters: dict[str, int] = {}
    files_accepted: int = 0
    files_refused: int = 0
    statuses: dict[str, int] = {}
    restarts: dict[str, int] = {}
    good_record_s: float = 0.0
    good_file_s: float = 0.0
    good_prediction_s: float = 0.0
    keys_compared: int = 0
    keys_different: int = 0
    seconds: int = 0
    wrong: list[str] = []


class Books:
    """Reads everything back once the mesh has settled."""

    def __init__(self, shop: Shop, throwing: Throwing) -> None:
        self._shop, self._throwing, self._settings = shop, throwing, shop.mesh.settings
        self._before = self._restarts()
        self.verdict = Verdict()

    def close(self) -> Verdict:
        """Settle, seal, and examine."""
        self._await_covered()
        self._await_files()
        self._seal()
        self._await_ready()
        self._good_inputs()
        self._letters = self._read_letters()
        self._account_live()
        self._account_files()
        self._account_control()
        self._compare()
        verdict = self.verdict
        verdict.thrown = {**self._throwing.thrown, "all": self._throwing.thrown.total()}
        verdict.statuses = {str(status): n for status, n in sorted(self._throwing.statuses.items())}
        verdict.wrong += [
            f"{n} answers {status}"
            for status, n in self._throwing.statuses.items()
            if status >= 500 and status != 503
        ]
        return verdict

    def _await_covered(self) -> None:
        for source in self._shop.pipeline.sources:
            self._shop.wait(
                lambda source=source: (
                    covered(self._settings, source.name) == raw_ends(self._settings, source.name)
                ),
                f"all of {source.name} handled",
                180,
            )

    def _await_files(self) -> None:
        """Each announced file is accepted or a dead letter of ingest."""

        def decided() -> bool:
            known = {event.file.uri for event in self._shop.events(FileAccepted)} | {
                letter["x_uri"] for letter in self._read_letters() if "x_uri" in letter
            }
            return set(self._throwing.announced) <= known

        self._shop.wait(decided, "every announced file decided", 180)

    def _seal(self) -> None:
        """Until every view has an epoch that holds all files accepted by now:
        poison may have asked for one of its own.
        """
        end = self._files_end()
        self._shop.seal()

        def landed() -> bool:
            with_all = {
                event.view for event in self._shop.events(ViewPublished) if event.file_count >= end
            }
            return {view.name for view in self._shop.pipeline.views} <= with_all

        self._shop.wait(landed, "an epoch lands with all files", 400)

    def _files_end(self) -> int:
        """The number behind that of the last accepted file, which is its offset."""
        with EventReader(self._settings, [topic_of(FileAccepted)], refused=pass_over) as reader:
            return max(
                (
                    message.offset() + 1
                    for event, message in reader.read_to_end()
                    if isinstance(event, FileAccepted)
                ),
                default=0,
            )

    def _await_ready(self) -> None:
        """Ready, and without an end for some seconds: a restart loop is never quiet for so long."""
        self._shop.wait(lambda: self._shop.mesh.supervisor.ready, "every service ready", 180)
        quiet_since, known = time.monotonic(), self._restarts()

        def quiet() -> bool:
            nonlocal quiet_since, known
            if (now := self._restarts()) != known:
                quiet_since, known = time.monotonic(), now
            return self._shop.mesh.supervisor.ready and time.monotonic() - quiet_since > QUIET_S

        self._shop.wait(quiet, "no service ends any more", 180)
        self.verdict.restarts = {
            name: n - self._before[name] for name, n in known.items() if n != self._before[name]
        }

    def _good_inputs(self) -> None:
        """A record, a file and a prediction, each within ten seconds."""
        shop, verdict = self._shop, self.verdict
        order = shop.orders[-1] | {"order_id": f"good-{uuid4().hex}"}
        start = time.monotonic()
        reached = shop.send("orders", [order])
        path = f"/v1/views/spending?key={order['shopper']}&min_position={query(reached)}"
        shop.wait(
            lambda: shop.ask("predict", path).status == 200, "a good record readable", GOOD_WITHIN_S
        )
        verdict.good_record_s = round(time.monotonic() - start, 2)
        start = time.monotonic()
        shop.wait(lambda: shop.predict().status == 200, "a good prediction", GOOD_WITHIN_S)
        verdict.good_prediction_s = round(time.monotonic() - start, 2)
        self._rebuild(f"{shop.predict().body.get('id', '')}-0")
        start = time.monotonic()
        uri = shop.publish_file(
            "visits",
            f"good-{uuid4().hex}.jsonl",
            [shop.visits[-1] | {"visit_id": f"good-{uuid4().hex}"}],
        )
        shop.wait(
            lambda: uri in {e.file.uri for e in shop.events(FileAccepted)},
            "a good file accepted",
            GOOD_WITHIN_S,
        )
        verdict.good_file_s = round(time.monotonic() - start, 2)

    def _rebuild(self, prediction_id: str) -> None:
        """What was answered amid the poison is computed again from its id."""
        self._shop.wait(
            lambda: any(find_row(e, prediction_id) for e in self._shop.events(PredictionServed)),
            "the prediction's event",
            30,
        )
        if not rebuild(self._settings, prediction_id).same:
            self.verdict.wrong.append(f"prediction {prediction_id} is rebuilt with other bytes")

    def _read_letters(self) -> list[dict[str, str]]:
        """The headers of all dead letters."""
        letters = []
        with EventReader(self._settings, [dead_letter(service) for service in SERVICES]) as reader:
            while not reader.at_end():
                message = reader.poll_raw(0.5)
                if message is not None:
                    headers = {
                        name: (value or b"").decode(errors="replace")
                        for name, value in message.headers() or ()
                    }
                    letters.append({**headers, "service": message.topic().split(".")[0]})
        self.verdict.dead_letters = dict(Counter(letter["service"] for letter in letters))
        return letters

    def _account_live(self) -> None:
        ledger = examine_live(self._settings, self._shop.pipeline)
        self.verdict.raw_records, self.verdict.in_log, self.verdict.repeats = (
            ledger.raw,
            ledger.in_log,
            ledger.repeats_dropped,
        )
        self.verdict.wrong += ledger.wrong

    def _account_files(self) -> None:
        accepted = {event.file.uri for event in self._shop.events(FileAccepted)}
        refused = {letter["x_uri"] for letter in self._letters if letter.get("x_uri")}
        self.verdict.files_accepted, self.verdict.files_refused = len(accepted), len(refused)
        lost = [uri for uri in self._throwing.announced if uri not in accepted | refused]
        self.verdict.wrong += [f"{uri} is neither accepted nor a dead letter" for uri in lost[:10]]
        for source in self._shop.pipeline.sources:
            missing = self._throwing.must_count[source.name] - self._counted(source)
            self.verdict.wrong += [
                f"{source.name} {record_id} of an odd file does not count"
                for record_id in sorted(missing)[:10]
            ]

    def _counted(self, source: Source) -> set[str]:
        """Ids of all rows of the history."""
        store, found = ObjectStore(self._settings), set()
        bucket, prefix = split_uri(
            history_path(self._settings.bucket, self._shop.pipeline.name, source.name) + "/"
        )
        with TemporaryDirectory() as folder:
            for key in store.list(bucket, prefix):
                if key.endswith(".parquet"):
                    path = Path(folder) / "part"
                    store.download(f"s3://{bucket}/{key}", path)
                    found |= set(
                        pa_parquet.read_table(path, columns=[source.id_fields[0]])
                        .column(0)
                        .to_pylist()
                    )
        return found

    def _account_control(self) -> None:
        """Each message that nobody can believe is a dead letter of somebody."""
        dead = {
            (letter.get("dead_letter_topic"), letter.get("dead_letter_offset"))
            for letter in self._letters
        }
        lost = [
            place for place in self._throwing.unbelievable if (place[0], str(place[1])) not in dead
        ]
        self.verdict.wrong += [
            f"{topic}@{offset} was passed over in silence" for topic, offset in lost[:10]
        ]

    def _compare(self) -> None:
        found = audit(self._settings, self._shop.mesh.addresses["predict"], plain_one_in=10)
        self.verdict.keys_compared, self.verdict.keys_different = found.compared, found.different
        self.verdict.wrong += [f"key differs: {example}" for example in found.examples]

    def _restarts(self) -> dict[str, int]:
        return {name: child.restarts for name, child in self._shop.mesh.supervisor.children.items()}


def table(verdict: Verdict) -> str:
    """For a terminal and for Markdown alike."""
    rows: list[tuple[str, Any]] = [
        (f"thrown: {kind}", f"{n:,}") for kind, n in verdict.thrown.items()
    ]
    rows += [
        ("raw records", f"{verdict.raw_records:,}"),
        ("of these in the log", f"{verdict.in_log:,}"),
        ("of these repeats", f"{verdict.repeats:,}"),
        (
            "dead letters by service",
            ", ".join(f"{name} {n:,}" for name, n in sorted(verdict.dead_letters.items())),
        ),
        (
            "files accepted / refused as a whole",
            f"{verdict.files_accepted:,} / {verdict.files_refused:,}",
        ),
        (
            "HTTP answers by status (0: hung up)",
            ", ".join(f"{status}: {n:,}" for status, n in verdict.statuses.items()),
        ),
        ("restarts", ", ".join(f"{name} {n}" for name, n in verdict.restarts.items()) or "none"),
        (
            "a good record, prediction, file passed after, s",
            f"{verdict.good_record_s}, {verdict.good_prediction_s}, {verdict.good_file_s}",
        ),
        ("keys compared / different", f"{verdict.keys_compared:,} / {verdict.keys_different:,}"),
        ("wrong", f"{len(verdict.wrong):,}"),
    ]
    return "\n".join(
        [
            "| | |",
            "|---|---|",
            *(f"| {name} | {value} |" for name, value in rows),
            *(f"| wrong | {line} |" for line in verdict.wrong[:20]),
        ]
    )
