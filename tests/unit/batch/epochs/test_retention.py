"""What the batch layer deletes once an epoch is published."""

import pytest

from preprocess_svc.batch.epochs.retention import epochs_in_use, expired, surplus
from preprocess_svc.batch.settings import BatchSettings
from schemas.events import ModelRolledBack, ModelTrained, ShadowChosen
from schemas.topics import base_prefix, training_prefix
from tests.unit.protocol.test_releases import promoted
from twinstream.errors import SettingsError


@pytest.mark.parametrize("prefix", [base_prefix, training_prefix])
def test_the_newest_epochs_stay_and_older_ones_go(prefix) -> None:
    gone = [
        epoch
        for epoch in range(1, 9)
        if expired(f"{prefix('shop', 'spending', epoch)}/0f/part-0.parquet", newest=7, keep=3)
    ]
    assert gone == [1, 2, 3, 4]


def test_the_newest_training_sets_stay_however_old_their_epochs_are() -> None:
    keys = [
        f"{training_prefix('shop', 'spending', epoch)}/0f/part-{part}.parquet"
        for epoch in (1, 4, 5, 90)
        for part in range(2)
    ]
    assert surplus(keys, 3) == keys[:2]
    assert surplus(keys[:2], 3) == []


def test_the_sets_of_models_that_may_serve_stay() -> None:
    def trained(digest: str, epoch: int, model: str = "m") -> ModelTrained:
        return ModelTrained(
            model=model,
            model_digest=digest,
            uri="",
            version_ids={},
            epoch=epoch,
            training_set_digest=f"set-{epoch}",
            definition_digest="d",
            metrics={},
        )

    shadow = ShadowChosen(
        model="m", model_digest="s", definition_digest="d", uri="", version_ids={}, reason=""
    )
    names = ("a", "b", "c", "rejected", "s", "of-another-definition")
    events = [trained(name, epoch) for epoch, name in enumerate(names, 1)]
    events += [promoted("a"), promoted("b"), promoted("c"), shadow, trained("n", 7, model="other")]
    events += [promoted("of-another-definition", "e"), promoted("never-trained-here")]
    assert epochs_in_use(events, keep=10) == {"m": {1, 2, 3, 5, 6}}
    assert epochs_in_use(events, keep=2) == {"m": {3, 5, 6}}
    back = ModelRolledBack(model="m", model_digest="c", to_model_digest="b", reason="")
    assert epochs_in_use([*events[:9], back], keep=10) == {"m": {1, 2}}
    keys = [f"{training_prefix('shop', 'm', epoch)}/0f/part-0.parquet" for epoch in range(1, 9)]
    assert surplus(keys, 2, {1, 3}) == [keys[1], *keys[3:6]]


def test_what_is_no_epochs_stays() -> None:
    assert not expired("shop/history/orders/_epoch=1/0f/part-0.parquet", newest=100, keep=3)


@pytest.mark.parametrize("keep", ["0", "1"])
def test_fewer_than_the_two_epochs_that_views_hold_are_refused(keep: str) -> None:
    with pytest.raises(SettingsError, match="keep_epochs"):
        BatchSettings.from_env({"TWINSTREAM_BATCH_KEEP_EPOCHS": keep})
