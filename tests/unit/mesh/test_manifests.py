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


def ends(offset: int, files: int) -> dict[str, Any]:
    cut = {p: ev.Cut(offset=offset, raw_high=0) for p in range(PARTITIONS)}
    return {"cut": cut, "cuts": {VIEW.source.name: cut}, "file_count": files}


@pytest.mark.parametrize(
    ("lie", "why"),
    [
        (ends(5, 1), "ends at file 1"),
        (ends(2, 2), "ends before epoch 1"),
    ],
)
def test_an_epoch_that_ends_before_the_one_it_follows_is_refused(
    lie: dict[str, Any], why: str
) -> None:
    of = believed()
    assert of.refusal(manifest(1, **ends(3, 2))) == ""
    for digest in ("earlier", PIPELINE.digest):
        assert why in of.refusal(manifest(2, **lie, definition_digest=digest))
    assert of.refusal(manifest(2, **ends(5, 2))) == ""


@pytest.mark.parametrize("lie", [ends(4, 2), ends(3, 3), ends(2, 2)])
def test_a_view_that_ends_an_epoch_elsewhere_than_another_is_refused(lie: dict[str, Any]) -> None:
    of = believed()
    assert of.refusal(manifest(1, **ends(3, 2))) == ""
    assert of.refusal(manifest(1, view="other", definition_digest="earlier", **lie)) != ""
    assert of.refusal(manifest(1, view="other", definition_digest="earlier", **ends(3, 2))) == ""
