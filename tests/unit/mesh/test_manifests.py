"""A manifest of a batch view is believed only when it can be the next one."""

from __future__ import annotations

from typing import Any

import pytest

from schemas import events as ev
from tests.unit.train.material import shop
from twinstream.protocol.manifests import Manifests

PARTITIONS = 4
PIPELINE = shop()
VIEW = PIPELINE.views[0]
CUT = {p: ev.Cut(offset=1, raw_high=0) for p in range(PARTITIONS)}


def believed() -> Manifests:
    return Manifests(PIPELINE, PARTITIONS, "warehouse")


def manifest(epoch: int, **changed: Any) -> ev.ViewPublished:
    uri = "s3://warehouse/a"
    files = [ev.FileRef(uri=uri, sha256="", partition=p) for p in range(PARTITIONS)]
    facts: dict[str, Any] = {
        "view": VIEW.name,
        "source": VIEW.source.name,
        "cut": CUT,
        "cuts": {changed.get("source", VIEW.source.name): CUT},
        "files": files,
        "definition_digest": PIPELINE.digest,
        "as_of_us": 0,
        "complete_since": {},
    }
    return ev.ViewPublished(epoch=epoch, **{**facts, **changed})


def test_epochs_one_after_the_other_are_believed_each_as_often_as_it_comes() -> None:
    of = believed()
    assert [of.refusal(manifest(epoch)) for epoch in (1, 1, 2, 3, 2, 4)] == [""] * 6


def test_a_view_that_joined_later_begins_with_the_epoch_of_the_others() -> None:
    of = believed()
    for epoch in range(1, 57):
        assert of.refusal(manifest(epoch, view="gone", definition_digest="earlier")) == ""
    assert of.refusal(manifest(57)) == ""


@pytest.mark.parametrize("first", [7, 1_000_000])
def test_a_lie_about_the_epoch_is_refused_and_what_is_true_goes_on(first: int) -> None:
    of = believed()
    assert "does not follow" in of.refusal(manifest(first))
    assert of.refusal(manifest(1)) == ""
    assert "does not follow" in of.refusal(manifest(1_000_000))
    assert of.refusal(manifest(2)) == ""


FILE = ev.FileRef(uri="s3://warehouse/a", sha256="", partition=0)


@pytest.mark.parametrize(
    "changed",
    [
        {"files": [ev.FileRef(uri="s3://raw/a", sha256="", partition=0)]},
        {"files": [ev.FileRef(uri="S3 b", sha256="", partition=0)]},
        {"files": [FILE, FILE]},
        {"files": [ev.FileRef(uri="s3://warehouse/a", sha256="", partition=PARTITIONS)]},
        {"files": [ev.FileRef(uri="s3://warehouse/a", sha256="")]},
        {"files": []},
        {"files": [FILE]},
        {"cut": {}},
        {"cuts": {}},
        {"cuts": {VIEW.source.name: {p: ev.Cut(offset=2, raw_high=0) for p in range(PARTITIONS)}}},
        {"cut": {PARTITIONS: ev.Cut(offset=1, raw_high=0)}},
        {"cut": {-1: ev.Cut(offset=1, raw_high=0)}},
        {"cuts": {"x": {99: ev.Cut(offset=1, raw_high=0)}}},
        {"view": "no-such"},
        {"source": "no-such"},
    ],
)
def test_a_manifest_of_what_the_mesh_lacks_is_refused_and_moves_no_epoch(
    changed: dict[str, Any],
) -> None:
    of = believed()
    assert of.refusal(manifest(1, **changed)) != ""
    assert "does not follow" in of.refusal(manifest(2))
    assert of.refusal(manifest(1)) == ""


def test_a_source_that_an_earlier_definition_had_is_believed() -> None:
    assert believed().refusal(manifest(1, source="renamed", definition_digest="earlier")) == ""


def test_a_lie_about_the_end_of_an_epoch_does_not_stand_in_the_way_of_the_right_one() -> None:
    of = believed()
    ahead = {p: ev.Cut(offset=10**6, raw_high=10**6) for p in range(PARTITIONS)}
    lie = {"cut": ahead, "cuts": {VIEW.source.name: ahead}, "file_count": 10**6}
    assert of.refusal(manifest(1)) == ""
    assert of.refusal(manifest(2, **lie)) == ""
    assert [of.refusal(manifest(epoch)) for epoch in (2, 3)] == ["", ""]
