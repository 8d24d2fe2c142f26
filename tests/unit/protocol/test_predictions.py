"""An answered request taken apart into its rows."""

from __future__ import annotations

import msgspec
import pytest

from schemas.events import PredictionServed, Release, ServedRow, ShadowAnswer, ViewPosition
from twinstream.protocol.predictions import find_row, part_of, predictions_of, row_of

PLACES = [ViewPosition(epoch=1, log={p: 5}, raw={p: 6}) for p in range(2)]


def served(rows: int = 3, first_row: int = 256) -> PredictionServed:
    return PredictionServed(
        id="9a7d",
        model="m",
        release=Release(definition="d", epoch=1, model="w"),
        inputs=["a", "b"],
        positions={"v": PLACES},
        places={"v": [i % 2 for i in range(rows)]},
        rows=[
            ServedRow(
                at_us=i,
                request={"x": i},
                features=[i, None],
                output=i / 10,
                batch_shape=8,
            )
            for i in range(rows)
        ],
        first_row=first_row,
        served_at_us=77,
    )


def test_each_row_has_what_belongs_to_it() -> None:
    found = list(predictions_of(served()))
    assert [row.id for row in found] == ["9a7d-256", "9a7d-257", "9a7d-258"]
    assert [row.positions["v"] for row in found] == [PLACES[0], PLACES[1], PLACES[0]]
    assert found[2].features == {"a": 2, "b": None}
    assert (found[1].request, found[1].output, found[1].served_at_us) == ({"x": 1}, 0.1, 77)


def test_a_row_is_found_by_its_id_in_the_part_that_holds_it() -> None:
    event = served()
    assert find_row(event, "9a7d-257") == list(predictions_of(event))[1]
    for absent in ("9a7d-255", "9a7d-259", "9a7d", "other-257", "9a7d-", "-", ""):
        assert find_row(event, absent) is None
    assert find_row(served(first_row=0), "9a7d") == next(predictions_of(served(first_row=0)))


@pytest.mark.parametrize("odd", ["a", "a-b", "a-²", "a--1", "a-1-"])
def test_what_ends_in_no_number_is_the_id_of_a_request(odd: str) -> None:
    assert row_of(odd)[1] == (0 if odd != "a--1" else 1)


def shared(starts: list[int], rows: int = 5) -> PredictionServed:
    return msgspec.structs.replace(served(rows, first_row=0), starts=starts)


def test_requests_that_were_answered_together_keep_their_own_ids() -> None:
    event = shared([0, 1, 4])
    found = list(predictions_of(event))
    assert [row.id for row in found] == ["9a7d.0-0", "9a7d.1-0", "9a7d.1-1", "9a7d.1-2", "9a7d.2-0"]
    assert [row.row for row in found] == [0, 1, 2, 3, 4]
    assert [find_row(event, row.id) for row in found] == found
    assert find_row(event, "9a7d.1") == found[1]
    for absent in ("9a7d", "9a7d-0", "9a7d.3-0", "9a7d.0-1", "9a7d.01-0", "9a7d.-1-0"):
        assert find_row(event, absent) is None


def test_a_row_has_what_the_candidate_says_of_it_and_its_place_in_that_batch() -> None:
    told = ShadowAnswer(model_digest="x", outputs=[0.5, 0.6, 0.7], batch_shape=8)
    event = msgspec.structs.replace(served(), shadow=told)
    found = [row.shadow for row in predictions_of(event)]
    assert [(one.output, one.place) for one in found if one] == [(0.5, 0), (0.6, 1), (0.7, 2)]
    assert part_of(event, 0, 2, 256).shadow is None
