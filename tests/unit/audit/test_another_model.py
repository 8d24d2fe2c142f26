"""Which other model is meant, and when none can answer."""

from __future__ import annotations

import pytest

from schemas.events import ModelTrained, Release
from twinstream.audit.another_model import chosen
from twinstream.errors import MeshError
from twinstream.protocol.predictions import Prediction

SERVED = Prediction(
    id="p-0",
    model="late",
    release=Release(definition="d", epoch=1, model="aa"),
    at_us=0,
    request={},
    positions={},
    features={},
    output=0.5,
)


def trained(digest: str, *, model: str = "late", definition: str = "d") -> ModelTrained:
    return ModelTrained(
        model=model,
        model_digest=digest,
        uri="s3://m/late",
        version_ids={},
        epoch=1,
        training_set_digest="t",
        definition_digest=definition,
        metrics={},
    )


KNOWN = [trained("abc1"), trained("abd2"), trained("abd2"), trained("f00", model="early")]


@pytest.mark.parametrize(("wanted", "digest"), [("abc", "abc1"), ("abd", "abd2"), ("abc1", "abc1")])
def test_a_model_is_known_by_the_beginning_of_its_digest(wanted: str, digest: str) -> None:
    assert chosen(KNOWN, SERVED, wanted).model_digest == digest


@pytest.mark.parametrize(
    ("wanted", "said"),
    [("ab", "2 models late"), ("f0", "0 models late"), ("", "there are: abc1, abd2")],
)
def test_what_means_no_model_or_several_is_refused_with_those_that_are(
    wanted: str, said: str
) -> None:
    with pytest.raises(MeshError, match=said):
        chosen(KNOWN, SERVED, wanted)


def test_a_model_of_another_definition_takes_other_features() -> None:
    with pytest.raises(MeshError, match="it takes other features"):
        chosen([trained("abc", definition="earlier")], SERVED, "abc")
