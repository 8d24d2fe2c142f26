"""A process of the batch layer for one command: it answers on standard output, or its last words
are told.
"""

from __future__ import annotations

import pytest

from deploy.local import batch_tool
from twinstream.errors import MeshError
from twinstream.mesh.settings import MeshSettings

SETTINGS = MeshSettings(pipeline="shop.py", data="/data")
ENV = {"JAVA_HOME": "/java", "TWINSTREAM_SPARK_JARS": "/jars", "TWINSTREAM_BATCH_NICE": "3"}


def test_it_answers_what_it_was_given() -> None:
    assert batch_tool.run("json.tool", b"[1]", SETTINGS, ENV).split() == [b"[", b"1", b"]"]


def test_one_that_ends_without_an_answer_is_told_by_its_last_words() -> None:
    with pytest.raises(
        MeshError, match=r"json\.tool ended with 1 and without an answer: Expecting"
    ):
        batch_tool.run("json.tool", b"{", SETTINGS, ENV)


def test_it_has_the_environment_of_the_mesh() -> None:
    found = batch_tool.environment_of(SETTINGS, ENV)
    assert found["TWINSTREAM_PIPELINE"] == "shop.py"
    assert {name: found[name] for name in ENV} == ENV
    assert found["TZ"] == "UTC"
