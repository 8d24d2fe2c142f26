"""What a person must look at: faults of the mesh itself, and what a process says of why it
waits.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from monitor_svc.adapters.heartbeat_folder import LONGEST_WHY, HeartbeatFolder
from monitor_svc.run import dead_letter_of
from tests.unit.mesh.fakes import Message
from twinstream.mesh.heartbeat import Beat


class Timed(Message):
    def timestamp(self) -> tuple[int, int]:
        return 1, 5


@pytest.mark.parametrize(
    ("said", "kind"),
    [(b"bug", "bug"), (b"permanent", "permanent"), (b"\xff", "permanent"), (None, "permanent")],
)
def test_a_fault_of_the_mesh_is_told_from_a_wrong_input(said: bytes | None, kind: str) -> None:
    head = [] if said is None else [("dead_letter_kind", said)]
    assert dead_letter_of(Timed(head=head), "speed").kind == kind


@pytest.mark.parametrize(
    ("ready", "detail", "blocked", "reason"),
    [
        (False, {"blocked": "S3 away", "reason": "no base"}, "S3 away", "no base"),
        (True, {"reason": "old"}, "", ""),
        (True, {}, "", ""),
        (False, {"blocked": None, "reason": ["a"]}, "", "['a']"),
        (False, {"blocked": "x" * 9999}, "x" * LONGEST_WHY, ""),
    ],
)
def test_a_beat_says_what_its_process_waits_for(
    tmp_path: Path, ready: bool, detail: dict[str, object], blocked: str, reason: str
) -> None:
    beat = Beat(name="batch", pid=1, ready=ready, detail=detail, at_us=1)
    (tmp_path / "batch.json").write_bytes(msgspec.json.encode(beat))
    (found,) = HeartbeatFolder(tmp_path).read()
    assert (found["blocked"], found["reason"]) == (blocked, reason)
