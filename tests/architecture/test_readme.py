"""The README opens with a program that loads and with figures that were measured."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks import render
from deploy.reference.declared import ROOT
from twinstream.define import Pipeline
from twinstream.mesh import pipeline_file

README = (ROOT / "README.md").read_text()
PROGRAM = re.findall(r"```python\n(.*?)```", README, re.DOTALL)[0]


@pytest.fixture
def pipeline(tmp_path: Path) -> Pipeline:
    file = tmp_path / "shop.py"
    file.write_text(PROGRAM)
    return pipeline_file.load(file)


def test_the_program_is_a_whole_definition(pipeline: Pipeline) -> None:
    (model,) = pipeline.models
    assert model.inputs.categorical == ["page"]
    assert model.inputs.numeric == [
        "spending.orders_1h",
        "spending.orders_7d",
        "spending.amount_24h",
    ]


def test_the_program_has_at_most_fifteen_lines() -> None:
    assert len(PROGRAM.splitlines()) <= 15
    assert max(map(len, PROGRAM.splitlines())) <= 100


def test_the_figures_are_those_of_the_results() -> None:
    assert render.opening(README) == README, "run `python -m benchmarks.render`"


def test_the_readme_opens_in_the_order_of_the_house() -> None:
    parts = ["```python", render.BEGIN, "make demo", "make test", "## Where things are"]
    places = [README.index(part) for part in parts]
    assert places == sorted(places)
