"""What `status` counts: each input once, nothing that a user dealt with, and whether that is
all.
"""

from __future__ import annotations

from schemas.topics import dead_letter
from tests.unit.mesh.fakes import Message
from twinstream.mesh.dead_letter_reader import Letter, LetterId, letter_of
from twinstream.mesh.open_letters import Open, summary


class Written(Message):
    def timestamp(self) -> tuple[int, int]:
        return 1, self.at


def letter(at: int, offset: int, service: str = "ingest", kind: str = "permanent") -> Letter:
    facts = {"topic": "t", "partition": "0", "offset": str(offset), "kind": kind}
    head = [(f"dead_letter_{name}", text.encode()) for name, text in facts.items()]
    head.append(("dead_letter_reason", f"reason {offset}".encode()))
    return letter_of(Written(b"", at, dead_letter(service), head))


def test_each_input_that_nobody_dealt_with_counts_once() -> None:
    letters = [letter(1, 10), letter(2, 11), letter(3, 11), letter(4, 12), letter(0, 1, "train")]
    done = {LetterId("ingest", 0, 4), LetterId("ingest", 0, 3)}
    found = summary(letters, done, set())
    assert found["ingest"] == Open(
        count=2, newest="ingest/0/2", newest_at_us=2000, reason="reason 11"
    )
    assert list(found) == ["ingest", "train"]


def test_what_was_not_all_looked_at_says_so() -> None:
    found = summary([letter(5, 1, kind="bug")], set(), {"ingest", "predict"})
    assert (found["ingest"].count, found["ingest"].bugs, found["ingest"].whole) == (1, 1, False)
    assert "predict" not in found  # none in all that was looked at
    assert summary([], set(), set()) == {}
