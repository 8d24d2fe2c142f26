"""What became of an accepted file is read from the topics alone."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.events import FileAccepted, FileRef, FileWithdrawn, ViewPublished
from twinstream.protocol.file_state import Withdrawals, state_of, withdraws

FILE = FileAccepted(
    source="s",
    file=FileRef(uri="s3://raw/a", sha256="d", version_id="v1"),
    format="csv",
    accepted_at_us=1,
)


def manifest(epoch: int, file_count: int, *left_out: int) -> ViewPublished:
    return ViewPublished(
        view="v",
        source="s",
        epoch=epoch,
        cut={},
        files=[],
        definition_digest="",
        as_of_us=0,
        complete_since={},
        file_count=file_count,
        left_out=list(left_out),
    )


@pytest.mark.parametrize(
    ("manifests", "state", "epoch"),
    [
        ([], "accepted", 0),
        ([manifest(1, 3)], "accepted", 0),
        ([manifest(1, 3), manifest(2, 4)], "folded", 2),
        ([manifest(3, 9), manifest(2, 4), manifest(1, 3)], "folded", 2),
        ([manifest(2, 4, 3)], "left out", 2),
        ([manifest(2, 4, 2)], "folded", 2),
    ],
)
def test_a_file_belongs_to_the_first_epoch_whose_files_hold_it(
    manifests: list[ViewPublished], state: str, epoch: int
) -> None:
    found = state_of(3, FILE, [], manifests)
    assert (found.state, found.epoch) == (state, epoch)


@pytest.mark.parametrize(
    ("source", "uri", "version", "state"),
    [
        ("s", "s3://raw/a", "", "withdrawn"),
        ("s", "s3://raw/a", "v1", "withdrawn"),
        ("s", "s3://raw/a", "v2", "accepted"),
        ("t", "s3://raw/a", "", "accepted"),
        ("s", "s3://raw/b", "", "accepted"),
    ],
)
def test_a_withdrawal_means_one_source_and_object(
    source: str, uri: str, version: str, state: str
) -> None:
    assert (
        state_of(
            3, FILE, [FileWithdrawn(source=source, uri=uri, version_id=version)], [manifest(1, 3)]
        ).state
        == state
    )


def test_what_is_folded_stays_folded_whoever_takes_it_back() -> None:
    assert (
        state_of(3, FILE, [FileWithdrawn(source="s", uri="s3://raw/a")], [manifest(1, 4)]).state
        == "folded"
    )


def test_a_corrected_file_under_the_same_name_is_not_withdrawn_with_the_one_before() -> None:
    withdrawn = FileWithdrawn(source="s", uri="s3://raw/a", withdrawn_at_us=5)
    again = msgspec.structs.replace(FILE, accepted_at_us=6)
    assert [withdraws(withdrawn, file) for file in (FILE, again)] == [True, False]


TIMES = st.integers(0, 3)
EVENTS = st.builds(
    FileWithdrawn,
    source=st.sampled_from("st"),
    uri=st.sampled_from(["s3://raw/a", "s3://raw/b"]),
    version_id=st.sampled_from(["", "v1", "v2"]),
    withdrawn_at_us=TIMES,
)


@given(st.lists(EVENTS, max_size=6), st.sampled_from("st"), st.sampled_from(["", "v1"]), TIMES)
def test_all_withdrawals_cover_what_any_of_them_withdraws(
    events: list[FileWithdrawn], source: str, version: str, at_us: int
) -> None:
    pinned = msgspec.structs.replace(FILE.file, version_id=version)
    file = msgspec.structs.replace(FILE, source=source, file=pinned, accepted_at_us=at_us)
    all_of_them = Withdrawals()
    for event in events:
        all_of_them.add(event)
    assert all_of_them.covers(file) == any(withdraws(event, file) for event in events)
