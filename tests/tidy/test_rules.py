"""Each rule of style refuses a bad sample, and lets a good one pass."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.tidy import rules
from tests.tidy.literals import HOMES, Home
from tests.tidy.ratchet import Ratchet, worsened

WIDE = "x = 1  # " + "w" * 100 + "\n"
PARAMETERS = "a, b, c, d, e, f"
BODY = """
    total = 0
    for {v} in {rows}:
        if {v}.known and {v}.epoch < 3:
            total += {v}.weight * 2
    return round(total / max(1, len({rows})), 3)
"""


@pytest.mark.parametrize(
    ("rule", "bad", "good"),
    [
        (rules.skipped_formats, "x = 1  # fmt: skip\n", "x = 'fmt: skip'\n"),
        (rules.skipped_formats, "# fmt: off\n", "# format\n"),
        (rules.wide_lines, WIDE, "x = 1\n"),
        (rules.long_docstrings, '"""1\n2\n3\n4\n"""\n', '"""1\n2\n3\n"""\n'),
        (rules.long_modules, "x = 1\n" * 401, "x = 1\n" * 400),
        (
            rules.many_parameters,
            f"def f(self, {PARAMETERS}, *, g): ...\n",
            f"def f(self, {PARAMETERS}): ...\n",
        ),
    ],
)
def test_a_bad_module_is_named_and_a_good_one_is_not(
    rule: Callable[[rules.Modules], list[str]], bad: str, good: str
) -> None:
    found = rule({"bad.py": bad, "good.py": good})
    assert [each.partition(":")[0] for each in found] == ["bad.py"]


def test_a_public_name_of_two_modules_is_found() -> None:
    modules = {
        "a.py": "class Meter: ...\ndef _own(): ...\n",
        "b.py": "def Meter(): ...\ndef _own(): ...\nclass Other:\n    def Meter(self): ...\n",
        "c.py": "class Third:\n    def Meter(self): ...\n",
    }
    assert rules.shared_names(modules) == {"Meter": ["a.py", "b.py"]}


def body(rows: str, v: str, *, name: str = "f", text: str = BODY) -> str:
    return f"def {name}({rows}):\n" + text.format(rows=rows, v=v)


def test_a_rule_written_twice_is_found_whatever_its_variables_are_called() -> None:
    modules = {
        "a.py": body("rows", "row"),
        "b.py": '"""Other."""\n' + body("found", "each", name="g"),
    }
    assert rules.repeated_rules(modules) == ["a.py:f = b.py:g"]


def test_a_docstring_does_not_hide_a_repeated_rule() -> None:
    said = 'def f(rows):\n    """Say."""\n' + BODY.format(rows="rows", v="row")
    assert rules.repeated_rules({"a.py": body("rows", "row"), "b.py": said})


@pytest.mark.parametrize(
    "other",
    [
        body("rows", "row", text=BODY.replace("< 3", "<= 3")),
        body("rows", "row", text=BODY.replace("known", "landed")),
        body("rows", "row", text="\n    return len({rows})\n"),
    ],
)
def test_a_different_rule_is_no_repeat(other: str) -> None:
    assert rules.repeated_rules({"a.py": body("rows", "row"), "b.py": other}) == []


def test_what_is_short_may_be_said_twice() -> None:
    short = "def f(a):\n    return a.b(1)\n"
    assert rules.repeated_rules({"a.py": short, "b.py": short}) == []


STRAYS = {
    "the place of a row in the total order": "x = raw + (partition << 44)\n",
    "the place of files before the log": "FROM = -(1 << 62)\n",
    "a topic's name": "TOPIC = 'ingest.file-accepted.v1'\n",
    "a document of a training set": "uri = f'{folder}/statistics.json'\n",
    "the shares of a split": "TRAIN, VALIDATION = 0.70, 0.85\n",
    "a bucket's name": "bucket = 'twinstream-raw'\n",
    "a table or folder of the warehouse": "spark.table('flights.history_orders')\n",
}


@pytest.mark.parametrize("home", HOMES, ids=lambda home: home.what)
def test_a_literal_outside_its_home_is_found(home: Home) -> None:
    sample = STRAYS[home.what]
    modules = {"stray.py": sample, home.modules[0]: sample}
    found = rules.strayed(modules, home.pattern, home.modules)
    assert found == [f"stray.py:1: {sample.strip()}"]


def test_documentation_may_name_any_literal() -> None:
    text = '"""It is `<< 44`."""\nx = 1  # << 44\n'
    assert rules.strayed({"a.py": text}, HOMES[0].pattern, ()) == []


def record(count: float, *items: str) -> Ratchet:
    return Ratchet(counts={"lines": count}, lists={"names": list(items)})


@pytest.mark.parametrize("now", [record(4, "a"), record(5), record(5, "a"), record(4)])
def test_what_gets_better_passes_the_ratchet(now: Ratchet) -> None:
    assert worsened(record(5, "a"), now) == []


def test_what_gets_worse_is_named_by_the_ratchet() -> None:
    assert worsened(record(5, "a"), record(6, "a", "b")) == ["lines: 6, at most 5", "names: b"]


def test_a_measure_that_was_never_recorded_may_only_be_nothing() -> None:
    assert worsened(Ratchet(counts={}, lists={}), record(1)) == ["lines: 1, at most 0"]


def test_a_house_word_is_found_wherever_it_is_written() -> None:
    text = '"""The place where it stands."""\nx = 1  # a knob\ny = "this is no range"\n'
    assert [each.split(":")[1] for each in rules.house_words({"a.py": text})] == ["1", "2", "3"]
    plain = "# there is no model; it is no longer here; NaN stands for null\n"
    assert rules.house_words({"a.py": plain}) == []
