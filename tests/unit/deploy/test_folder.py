"""A data folder is its owner's alone; a path that an engine cannot take is refused with the
reason.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from deploy.local import cache, folder
from deploy.local.plan import make
from twinstream.errors import SettingsError


@pytest.mark.parametrize(
    "name", ["späce", "a b", "a;b", "a#b", "a%20b", "a'b", "a&b", "(a)", "日本", "a*b", "x" * 200]
)
def test_an_odd_path_is_taken(name: str, tmp_path: Path) -> None:
    assert folder.prepare(tmp_path / name).is_dir()


@pytest.mark.parametrize("name", ["a,b", "a:b", 'a"b', "a\\b", "a$b", "a\nb", "a\x7fb", "a\udcffb"])
def test_a_path_that_an_engine_cannot_take_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"cannot be used: .* in it"):
        folder.prepare(tmp_path / name)
    assert not (tmp_path / name).exists()


def test_a_path_too_long_for_what_lies_below_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="longer than"):
        folder.prepare(tmp_path.joinpath(*["x" * 200] * 5))


@pytest.mark.parametrize("umask", [0, 0o777])
def test_a_data_folder_is_its_owners_alone(umask: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        data = folder.prepare(tmp_path / "data")
    finally:
        os.umask(before)
    assert {stat.S_IMODE(path.stat().st_mode) for path in (data, data / "run", data / "logs")} == {
        0o700
    }


def test_a_folder_that_was_open_is_closed(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o755)
    assert stat.S_IMODE(folder.prepare(tmp_path / "data").stat().st_mode) == 0o700


def test_a_link_and_its_target_are_one_folder(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "data")
    assert folder.prepare(tmp_path / "link") == folder.prepare(tmp_path / "data")


def test_a_folder_that_cannot_be_made_is_refused_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="Not a directory"):
        make(tmp_path / "file" / "data", "", engines=())


@pytest.mark.parametrize("name", ["TWINSTREAM_CACHE", "XDG_CACHE_HOME", "HOME"])
def test_it_is_said_what_to_set_when_there_is_no_place_for_jars(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("TWINSTREAM_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv(name, "/proc/nonexistent")
    with pytest.raises(SettingsError, match="set TWINSTREAM_CACHE"):
        cache.cache_folder()
