"""A spine's rows come in whole parts and in order, however its files and row groups lie; what is
asked wrongly is said in words before Spark starts.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from preprocess_svc.batch.scoring import spine as spines
from preprocess_svc.batch.scoring.files import Files
from preprocess_svc.batch.scoring.plan import score_plan
from preprocess_svc.batch.scoring.spine import look_at, read_parts
from tests.unit.train.material import shop
from twinstream.errors import MeshError, SettingsError
from twinstream.mesh.settings import MeshSettings
from twinstream.protocol.scores import ScoreRequest

SETTINGS = MeshSettings(pipeline="")
FILES = Files(SETTINGS)


def write(folder: Path, *files: tuple[int, int]) -> None:
    """Files of so many rows in row groups of so many; the rows are numbered through."""
    number = 0
    for i, (rows, group) in enumerate(files):
        table = pa.table({"n": pa.array(range(number, number + rows), pa.int64())})
        pq.write_table(table, folder / f"{i}.parquet", row_group_size=group)
        number += rows


@pytest.mark.parametrize(
    "files",
    [
        [(10, 100)],
        [(10, 3), (1, 1), (25, 7)],
        [(64, 64)],
        [(0, 1), (5, 1)],
        [(40, 40), (3, 3)],
        [(8, 4), (8, 8)],
    ],
)
def test_every_row_comes_once_and_in_whole_parts(
    tmp_path: Path, files: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spines, "PART_ROWS", 4)
    write(tmp_path, *files)
    found = look_at(FILES, str(tmp_path))
    parts: dict[int, list[int]] = {}
    for unit in found.units(8):
        for i, part in enumerate(read_parts(FILES, unit)):
            parts[unit.first_part + i] = part["n"].to_pylist()
    total = sum(rows for rows, _ in files)
    assert found.rows == total
    assert parts == {p: list(range(4 * p, min(4 * p + 4, total))) for p in range(-(-total // 4))}


def test_bookkeeping_of_others_is_not_read(tmp_path: Path) -> None:
    write(tmp_path, (3, 3))
    for name in ("_SUCCESS", "notes.txt", "_old/1.parquet", ".hidden/1.parquet", "day=1/1.parquet"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        pq.write_table(pa.table({"n": [9]}), path)
    assert look_at(FILES, str(tmp_path)).rows == 4


GOOD: dict[str, Any] = {
    "shopper": ["s1"],
    "country": ["DE"],
    "page": ["/"],
    "mobile": [True],
}


def refused(tmp_path: Path, columns: Any, **more: Any) -> str:
    """Why a spine of these columns cannot be scored."""
    given = tmp_path / "spine.parquet"
    if columns is not None:
        pq.write_table(columns if isinstance(columns, pa.Table) else pa.table(columns), given)
    asked = {"model": "will-buy", "spine": str(given), "out": str(tmp_path / "out")} | more
    with pytest.raises(MeshError) as raised:
        score_plan(SETTINGS, shop(), ScoreRequest(**asked))
    return str(raised.value)


@pytest.mark.parametrize(
    ("columns", "more", "words"),
    [
        (None, {}, "is not there"),
        (GOOD | {"mobile": ["yes"]}, {}, "'mobile' is string, expected bool"),
        ({"shopper": ["s"]}, {}, "column 'page' is missing"),
        (GOOD | {"prediction": [1]}, {}, "prediction; rename"),
        (GOOD | {"features": [1]}, {"features": True}, "features; rename"),
        (GOOD | {"visited_at": pa.array([0], pa.timestamp("us"))}, {}, "time zone"),
        (GOOD | {"visit_id": [[1]]}, {}, "'visit_id' is list"),
        (GOOD, {"model": "will-bye"}, "no model 'will-bye'"),
        (GOOD, {"at": "soon"}, "--at 'soon'"),
        (GOOD, {"out": ""}, "give --out"),
        (GOOD, {"spine": "s3://UPPER/x"}, "cannot name a bucket"),
        (pa.table([[1], [2]], names=["a", "a"]), {}, "several columns of one name: a"),
    ],
)
def test_what_is_asked_wrongly_is_said(
    tmp_path: Path, columns: Any, more: dict[str, Any], words: str
) -> None:
    assert words in refused(tmp_path, columns, **more)


def test_places_on_this_machine_are_refused_beside_a_cluster(tmp_path: Path) -> None:
    settings = MeshSettings(pipeline="", spark_master="spark://head:7077")
    with pytest.raises(SettingsError, match=r"give a place on S3"):
        score_plan(settings, shop(), ScoreRequest(model="will-buy", spine="x", out=str(tmp_path)))


def test_the_spine_is_not_replaced_by_its_scores(tmp_path: Path) -> None:
    (tmp_path / "_score.json").write_bytes(b"{}")
    words = refused(tmp_path, GOOD, out=str(tmp_path), overwrite=True)
    assert "which its scores would replace" in words


def test_files_of_other_columns_or_none_are_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1]}), tmp_path / "1.parquet")
    pq.write_table(pa.table({"a": ["x"]}), tmp_path / "2.parquet")
    with pytest.raises(SettingsError, match=r"2\.parquet has other columns"):
        look_at(FILES, str(tmp_path))
    (tmp_path / "1.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(SettingsError, match=r"1\.parquet cannot be read"):
        look_at(FILES, str(tmp_path))


def test_a_good_request_has_a_plan(tmp_path: Path) -> None:
    pq.write_table(pa.table(GOOD), tmp_path / "spine.parquet")
    request = ScoreRequest(
        model="will-buy",
        spine=str(tmp_path / "spine.parquet"),
        out=f"{tmp_path}/out/",
        at="2013-10-01T00:00:00Z",
    )
    plan = score_plan(SETTINGS, shop(), request)
    assert plan.asked_us == 1_380_585_600_000_000
    assert plan.out == str(tmp_path / "out")
    assert plan.spine.rows == 1
