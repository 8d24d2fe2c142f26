"""How far the monitor's time has come: no one prediction and no one label moves it."""

from monitor_svc.known_time import KnownTime
from twinstream.protocol.known_time import DAY_US

NOW = 1_790_000_000_000_000
AHEAD = NOW + 36 * 365 * DAY_US


def test_one_prediction_about_a_moment_far_ahead_lets_no_label_count_as_missing() -> None:
    known = KnownTime("replay")
    known.labels_us[("labels", 0)] = NOW + 40 * DAY_US
    for at_us in (NOW, AHEAD, NOW + 5, NOW + 7):
        known.predicted(at_us)
    assert known.watermark_us(AHEAD) == NOW + 7


def test_one_prediction_far_ahead_does_not_let_labels_be_read_before_the_predictions() -> None:
    known = KnownTime("wall")
    known.labels_us[("labels", 0)], known.labels_open = NOW + DAY_US, {("labels", 0)}
    for served_us in (NOW, AHEAD, NOW + 5):
        known.predicted(served_us)
    assert known.next_streams() == (True, False)
