"""What the batch layer deletes once an epoch is published."""

import pytest

from preprocess_svc.batch.epochs.retention import expired, surplus
from preprocess_svc.batch.settings import BatchSettings
from schemas.topics import base_prefix, training_prefix
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


def test_what_is_no_epochs_stays() -> None:
    assert not expired("shop/history/orders/_epoch=1/0f/part-0.parquet", newest=100, keep=3)


@pytest.mark.parametrize("keep", ["0", "1"])
def test_fewer_than_the_two_epochs_that_views_hold_are_refused(keep: str) -> None:
    with pytest.raises(SettingsError, match="keep_epochs"):
        BatchSettings.from_env({"TWINSTREAM_BATCH_KEEP_EPOCHS": keep})
