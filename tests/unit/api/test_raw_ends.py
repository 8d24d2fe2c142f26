"""The age of an answer, from looks at where the raw topics ended."""

from predict_svc.api.raw_ends import Look, Looks


def test_the_age_counts_from_the_newest_look_of_which_all_is_contained() -> None:
    looks = Looks()
    for at, end in ((1.0, 5), (2.0, 6), (3.0, 9)):
        looks.note(Look(at, {"orders": {0: end, 1: 2}}))
    assert looks.age_ms(4.0, "orders", {0: 9, 1: 2}) == 1000
    assert looks.age_ms(4.0, "orders", {0: 8, 1: 2}) == 2000
    assert looks.age_ms(4.0, "orders", {0: 5, 1: 2}) == 3000
    assert looks.age_ms(4.0, "orders", {0: 9}) is None
    assert looks.age_ms(4.0, "orders", {0: 4, 1: 2}) is None


def test_an_answer_does_not_age_while_nothing_comes() -> None:
    looks = Looks(remembered=2)
    for at in range(10):
        looks.note(Look(float(at), {"orders": {0: 5}}))
    assert looks.age_ms(9.0, "orders", {0: 5}) == 0


def test_an_answer_ages_while_nobody_says_where_the_topics_end() -> None:
    looks = Looks()
    looks.note(Look(1.0, {"orders": {0: 5}}))
    assert looks.age_ms(61.0, "orders", {0: 5}) == 60_000


def test_what_is_older_than_is_remembered_has_no_age() -> None:
    looks = Looks(remembered=2)
    for at in range(4):
        looks.note(Look(float(at), {"orders": {0: at}}))
    assert looks.age_ms(4.0, "orders", {0: 2}) == 2000
    assert looks.age_ms(4.0, "orders", {0: 1}) is None
    assert Looks().age_ms(4.0, "orders", {0: 1}) is None
