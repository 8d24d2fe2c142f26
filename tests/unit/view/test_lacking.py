"""What a store that is built anew lacks before it may be read."""

from predict_svc.view.layout import Base, Layout, Progress, lacking
from schemas.events import Cut


def test_a_store_lacks_what_neither_its_base_nor_its_partials_bring() -> None:
    based = Layout(
        bases=(Base(epoch=1, cut={0: Cut(offset=7, raw_high=1), 1: Cut(offset=7, raw_high=1)}),)
    )
    assert lacking(based, {}, {0: 7, 1: 9}) == {1: 7}
    assert lacking(based, {1: Progress(offset=9)}, {0: 7, 1: 9}) == {}
    assert lacking(Layout(), {0: Progress(offset=3)}, {0: 3, 1: 0, 2: -1}) == {1: -1}


def test_nothing_is_lacking_when_the_log_is_empty() -> None:
    assert lacking(Layout(), {}, {0: -1, 1: -1}) == {}
