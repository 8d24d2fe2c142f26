"""What `twinstream models` says of any history, and what it refuses before anything is written."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from schemas.events import (
    Event,
    ModelHeld,
    ModelPromoted,
    ModelRejected,
    ModelTrained,
    decode,
    encode,
)
from tests.unit.api.fakes import model_files
from tests.unit.train.material import shop
from twinstream.cli import model_tables
from twinstream.cli.main import run
from twinstream.cli.model_book import ModelBook
from twinstream.cli.model_changes import (
    back,
    canary_aim,
    choice_of_canary,
    choice_of_shadow,
    holding,
    promotion,
    roll_back,
    serves,
    shadow_aim,
)
from twinstream.cli.model_check import check_files
from twinstream.cli.model_comparisons import Measured
from twinstream.cli.show import as_json
from twinstream.errors import MeshError, ObjectMissingError, SettingsError
from twinstream.mesh import object_store
from twinstream.mesh.exit_codes import USAGE

OURS = shop().digest


def trained(digest: str, definition: str = OURS, epoch: int = 1) -> ModelTrained:
    return ModelTrained(
        model="will-buy",
        model_digest=digest,
        uri=f"s3://models/{digest}",
        version_ids={"model.safetensors": "v1"},
        epoch=epoch,
        training_set_digest="s",
        definition_digest=definition,
        metrics={"auc": 0.7},
        trained_at_us=1_700_000_000_000_000,
    )


def rejected(digest: str, reason: str = "auc is too low") -> ModelRejected:
    return ModelRejected(model="will-buy", model_digest=digest, reason=reason, metrics={})


def by_the_trainer(digest: str) -> ModelPromoted:
    return ModelPromoted(
        model="will-buy",
        model_digest=digest,
        uri=f"s3://models/{digest}",
        version_ids={},
        definition_digest=OURS,
        metrics={"auc": 0.7},
        reason="good enough",
    )


def book(*events: Event) -> ModelBook:
    made = ModelBook("will-buy", OURS)
    for event in events:
        made.apply(event)
    return made


HISTORY = [
    *(trained("aaaa11"), by_the_trainer("aaaa11")),
    *(trained("bbbb22"), by_the_trainer("bbbb22")),
    *(trained("cccc33"), rejected("cccc33")),
    *(trained("dddd44", definition="gone"), rejected("dddd44")),
    trained("eeee55"),
    rejected("set:ffff66", "nothing can be learned"),
]


def states(found: ModelBook) -> dict[str, str]:
    return {line["digest"]: line["state"] for line in found.lines()}


def test_each_model_has_its_state_and_verdict() -> None:
    found = book(*HISTORY)
    assert states(found) == {
        "aaaa11": "served before",
        "bbbb22": "serves",
        "cccc33": "rejected",
        "dddd44": "other definition",
        "eeee55": "no verdict yet",
        "set:ffff66": "rejected",
    }
    line = found.line(found.one("cccc"))
    assert (line["reason"], line["epoch"], line["metrics"]) == ("auc is too low", 1, {"auc": 0.7})


def test_what_is_promoted_by_hand_serves_whatever_the_verdict() -> None:
    found = book(*HISTORY)
    event = promotion(trained("cccc33"), "the rows of March were wrong")
    found.apply(event)
    assert states(found)["cccc33"] == "serves"
    assert (event.uri, event.version_ids) == (trained("cccc33").uri, trained("cccc33").version_ids)
    assert event.reason.endswith(f"by {event.by}: the rows of March were wrong")
    assert f"by {event.by}" in model_tables.now_words(found)


def test_a_roll_back_leads_to_the_one_before_and_says_from_where() -> None:
    found = book(*HISTORY)
    target = back(found, "")
    event = roll_back(found, target.digest, "")
    assert (event.model_digest, event.to_model_digest) == ("bbbb22", "aaaa11")
    found.apply(event)
    assert states(found)["aaaa11"] == "serves"
    with pytest.raises(SettingsError, match="no model of will-buy was promoted before"):
        back(found, "")


def test_a_roll_back_to_what_was_never_promoted_is_refused() -> None:
    with pytest.raises(SettingsError, match="models promote"):
        back(book(*HISTORY), "cccc33")


def test_two_operators_at_once_leave_what_the_last_one_decided() -> None:
    """Both looked before either wrote; the trainer promoted between them."""
    found = book(*HISTORY)
    first, second = promotion(trained("cccc33"), ""), roll_back(found, "aaaa11", "")
    for event in (first, by_the_trainer("eeee55"), second):
        found.apply(event)
    assert states(found)["aaaa11"] == "serves"
    assert [one.what for one in found.decided][-3:] == ["promoted", "promoted", "rolled back"]


def test_a_promotion_of_the_trainer_while_held_is_said_to_have_no_effect() -> None:
    found = book(*HISTORY, holding("will-buy", "audit", held=True), by_the_trainer("eeee55"))
    assert states(found)["bbbb22"] == "serves"
    assert states(found)["eeee55"] == "passed over"
    assert "audit" in found.decided[-1].no_effect
    assert model_tables.now_words(found).endswith("audit")
    found.apply(holding("will-buy", "", held=False))
    assert "held" not in model_tables.now_words(found)


@pytest.mark.parametrize(
    ("digest", "words"),
    [
        ("", "too short"),
        ("aaa", "too short"),
        ("ffff", "none begin"),
        ("aaaa", "begin with 'aaaa'"),
    ],
)
def test_a_digest_that_means_no_one_model_is_refused(digest: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        book(*HISTORY, trained("aaaa12")).one(digest)


def test_what_serves_already_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    found = book(*HISTORY)
    assert serves(found, found.one("bbbb22"))
    assert not serves(found, found.one("aaaa11"))
    assert "bbbb22 serves already" in capsys.readouterr().err


def test_a_candidate_is_chosen_and_ended() -> None:
    found = book(*HISTORY)
    event = choice_of_shadow(found, trained("cccc33"), "better in March?")
    found.apply(event)
    assert (states(found)["cccc33"], event.uri) == ("asked beside", "s3://models/cccc33")
    assert f"cccc33 is asked by {event.by}: better in March?" in model_tables.now_words(found)
    found.apply(choice_of_shadow(found, None, ""))
    assert states(found)["cccc33"] == "rejected"
    assert [one.what for one in found.decided][-2:] == ["asked beside", "asked no more"]


@pytest.mark.parametrize(
    "words",
    [
        "shadow m",
        "shadow m aaaa --stop",
        "canary m",
        "canary m aaaa",
        "canary m --share 0.1",
        "canary m --share 0.1 --stop",
        "canary m aaaa --share 0.1 --stop",
        "canary m aaaa --share nan",
        "canary m aaaa --share 1.1",
    ],
)
def test_a_candidate_is_named_or_ended_and_not_both(
    words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["models", *words.split()]) == USAGE
    assert "Traceback" not in capsys.readouterr().err


def test_a_canary_is_chosen_and_ended() -> None:
    found = book(*HISTORY)
    event = choice_of_canary(found, trained("cccc33"), 0.05, "a look")
    found.apply(event)
    assert (states(found)["cccc33"], event.share) == ("answers a share", 0.05)
    assert f"cccc33 answers 0.05 of the keys by {event.by}: a look" in model_tables.now_words(found)
    found.apply(choice_of_canary(found, None, 0.0, ""))
    assert states(found)["cccc33"] == "rejected"
    assert [one.what for one in found.decided][-2:] == ["answers 0.05", "answers no more"]


def test_the_predictor_follows_when_it_says_so() -> None:
    aim = canary_aim("cccc33", 0.05)
    assert aim.reached({"canary": "cccc33", "canary_share": 0.05})
    assert not aim.reached({"canary": "cccc33", "canary_share": 0.1})
    assert not aim.reached({"canary": None, "canary_share": None})
    assert canary_aim(None, None).reached({"canary": None, "canary_share": None})
    assert shadow_aim("x").reached({"shadow": "x", "canary_share": 0.1})


COMPARED = {
    "candidate": "cccc33",
    "rows": 10,
    "difference": 0.25,
    "other_side": None,
    "labelled": 0,
    "quality": {of: {"auc": None, "log_loss": None} for of in ("candidate", "served")},
}


ANSWERED = {"digest": "bbbb22", "labelled": 4, "auc": 0.5, "log_loss": None}
ODD = "\x1b[31m[bold]x[/\n\u202e" * 50


def test_what_a_shell_cannot_spell_can_be_written() -> None:
    for event in (holding("will-buy", "\udcff", held=True), promotion(trained("a"), "\udcff")):
        again: Any = decode(type(event).__name__, encode(event))
        assert "?" in again.reason


@pytest.mark.parametrize("json", [True, False])
def test_nothing_in_an_event_is_too_odd_to_be_shown(
    capsys: pytest.CaptureFixture[str], *, json: bool
) -> None:
    held = ModelHeld(model="will-buy", reason=ODD, by=ODD)
    found = book(*HISTORY, rejected("cccc33", ODD), rejected(ODD), held, by_the_trainer(ODD))
    model_tables.print_lines(found.lines(), json=json)
    for one in found.candidates.values():
        facts = model_tables.facts_of(found, one, Measured([COMPARED], [ANSWERED]))
        as_json(facts) if json else model_tables.print_facts(facts)
    whole = model_tables.summary(found, Measured([COMPARED], [{**ANSWERED, "digest": ODD}]))
    as_json(whole) if json else model_tables.print_summary(whole)
    assert "\x1b" not in capsys.readouterr().out


class Bucket:
    """Objects by URI."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files

    def get_uri(self, uri: str, version_id: str | None = None) -> bytes:
        if uri not in self.files:
            raise ObjectMissingError(f"{uri} is not there")
        return self.files[uri]


def desk(monkeypatch: pytest.MonkeyPatch, *, definition: str = OURS, inside: str = "") -> Any:
    """A mesh with one trained model in its bucket: (desk, files by URI, candidate)."""
    digest, files = model_files(1, inside)
    event = trained(digest, definition)
    bucket = Bucket({f"{event.uri}/{name}": data for name, data in files.items()})
    monkeypatch.setattr(object_store, "ObjectStore", lambda _settings: bucket)
    found = book(event)
    pipeline, mesh = shop(), SimpleNamespace(settings=None)
    made = SimpleNamespace(mesh=mesh, pipeline=pipeline, book=found)
    return made, bucket.files, found.one(digest)


def test_a_model_whose_files_are_whole_may_be_promoted(monkeypatch: pytest.MonkeyPatch) -> None:
    made, _, found = desk(monkeypatch)
    assert check_files(made, found) == found.named


def test_a_model_of_another_definition_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    made, _, found = desk(monkeypatch, definition="0123456789abcdef")
    with pytest.raises(SettingsError, match="definition 0123456789ab, this mesh serves"):
        check_files(made, found)


def test_a_model_that_lies_about_its_definition_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made, _, found = desk(monkeypatch, inside="another")
    with pytest.raises(MeshError, match="made for definition another"):
        check_files(made, found)


def test_a_model_whose_files_are_gone_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    made, files, found = desk(monkeypatch)
    del files[next(uri for uri in files if uri.endswith("model.safetensors"))]
    with pytest.raises(MeshError, match=r"nothing is changed.*model.safetensors is not there"):
        check_files(made, found)


def test_a_model_whose_files_were_tampered_with_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made, files, found = desk(monkeypatch)
    uri = next(uri for uri in files if uri.endswith("model.safetensors"))
    files[uri] = files[uri][:-1] + bytes([files[uri][-1] ^ 1])
    with pytest.raises(MeshError, match=r"nothing is changed.*digest"):
        check_files(made, found)


def test_a_training_set_without_a_model_cannot_be_promoted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made, _, _ = desk(monkeypatch)
    made.book.apply(rejected("set:ffff66"))
    with pytest.raises(SettingsError, match="names no trained model"):
        check_files(made, made.book.one("set:ffff66"))
