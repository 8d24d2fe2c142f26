"""What a search tried, as people see it."""

from __future__ import annotations

from twinstream.cli.model_trials import BAR, WIDTH, Trial, bar, trial_rows


def test_a_trial_is_a_line_and_the_best_has_a_star_and_the_shortest_bar() -> None:
    trials = [
        Trial({"width": 64, "learning_rate": 0.00123456}, 0.75, 4),
        Trial({"width": 128, "learning_rate": 0.01}, None, 0),
        Trial({"width": 32, "learning_rate": 0.5}, 0.25, 1),
    ]
    rows = trial_rows(trials, ["width", "learning_rate"])
    assert [row[:5] for row in rows] == [
        ["1", "0.75", "4", "64", "0.001235"],
        ["2", "failed", "0", "128", "0.01"],
        ["3*", "0.25", "1", "32", "0.5"],
    ]
    assert [row[5] for row in rows] == [BAR * WIDTH, "", BAR]


def test_equal_losses_have_equal_bars() -> None:
    assert bar(0.5, 0.5, 0.5) == BAR
