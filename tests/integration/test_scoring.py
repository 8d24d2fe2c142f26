"""Batch scoring on real Spark, Kafka, S3 and Hive: what a spine is scored with equals the oracle to
the byte; the command, as a process of its own.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.untrained import promote
from deploy.local.mesh import EmbeddedMesh
from preprocess_svc.batch.scoring.files import Files
from preprocess_svc.batch.scoring.job import ScoringJob
from preprocess_svc.batch.scoring.origin import promoted_json, told_by_topics
from preprocess_svc.batch.scoring.plan import score_plan
from preprocess_svc.batch.scoring.scoring import Chosen
from tests.integration.batch_rig import HOUR, START, end_spark
from tests.integration.test_batch import SHOP, Shop, known_us
from twinstream.algebra.fold import answers
from twinstream.errors import MeshError, SettingsError
from twinstream.features.request import QuestionForm
from twinstream.protocol.scores import (
    METADATA,
    ScoreAnswer,
    ScoreManifest,
    ScoreOrigin,
    ScoreRequest,
)

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(900)]
ROWS = 1_500


class Scored:
    """A landed epoch, a promoted model, and a spine with all that a hurried user puts into one."""

    def __init__(self, shop: Shop, folder: Path) -> None:
        self.shop, self.folder = shop, folder
        visits, orders = shop.world.session(0, 300, 150)
        shop.world.file("visits", visits[:90], form="parquet")
        shop.world.log("visits", visits[80:], again=2)
        shop.world.log("orders", orders, late_us=HOUR)
        self.batch = shop.epoch()
        self.model = shop.pipeline.models[0]
        promote(shop.settings, shop.pipeline, self.model)
        self.rows = spine_rows(random.Random(3))
        self.spine = folder / "spine"
        self.spine.mkdir()
        half = ROWS // 2
        for number, part in enumerate((self.rows[:half], self.rows[half:])):
            table = pa.Table.from_pylist(part, schema=SPINE)
            pq.write_table(table, self.spine / f"{number}.parquet", row_group_size=400)

    def score(self, **more: Any) -> ScoreAnswer:
        shop, settled = self.shop, self.shop.settings
        request = ScoreRequest(model=self.model.name, spine=str(self.spine), **more)
        plan = score_plan(settled, shop.pipeline, request)
        origin = told_by_topics(settled, shop.pipeline).origin(
            plan.model, request.model_digest, plan.asked_us
        )
        return ScoringJob(shop.context, plan, origin).run()

    def served(self, rows: list[dict[str, Any]], now_us: int) -> Any:
        """What the predictor makes of rows, from a plain fold of what each may have seen."""
        form = QuestionForm(self.model)
        question = form.decode(rows, now_us)
        given = {view.name: [] for view in self.model.views}
        for view in self.model.views:
            known = self.shop.known(self.batch, view.source.name, 1)
            for row, at, key in zip(rows, question.at_us, question.keys[view.name], strict=True):
                by = None if row["visited_at"] is None else int(at)
                seen = [
                    (k.record, k.position)
                    for k in known
                    if by is None or known_us(view.source, k) <= by
                ]
                given[view.name].append(answers(view, seen if key else [], key or b"", int(at)))
        return form.features(question, {name: np.array(found) for name, found in given.items()})


SPINE = pa.schema(
    [
        ("visit_id", pa.string()),
        ("shopper", pa.string()),
        ("country", pa.string()),
        ("page", pa.string()),
        ("visited_at", pa.timestamp("us", "UTC")),
        ("mobile", pa.bool_()),
        ("basket", pa.list_(pa.int32())),
    ]
)


def spine_rows(chance: random.Random) -> list[dict[str, Any]]:
    """Past moments, moments beyond all that is known, none at all; every hundredth row is bad."""
    moments = [None, START + 10_000 * HOUR, *(START + h * HOUR + 7 for h in range(300))]
    return [
        {
            "visit_id": f"q{i}",
            "shopper": f"s{chance.randrange(45)}",
            "country": chance.choice(["DE", "FR", None]),
            "page": None if i % 100 == 99 else " home ",
            "visited_at": chance.choice(moments[: 302 if i % 3 else 1]),
            "mobile": chance.random() < 0.5,
            "basket": [i, i],
        }
        for i in range(ROWS)
    ]


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scored]:
    with (
        EmbeddedMesh(tmp_path_factory.mktemp("scoring"), pipeline=SHOP) as mesh,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("JAVA_HOME", mesh.env["JAVA_HOME"])
        shop = Shop(mesh)
        found = Scored(shop, tmp_path_factory.mktemp("spine"))
        found.env = mesh.env  # type: ignore[attr-defined]
        yield found
        shop.close()
        end_spark()


def read(out: Path, manifest: ScoreManifest) -> pa.Table:
    return pa.concat_tables([pq.read_table(out / file.path) for file in manifest.files])


def test_every_row_is_scored_as_serving_would_have_answered_it(
    scored: Scored, tmp_path: Path
) -> None:
    out = tmp_path / "scores"
    manifest = scored.score(out=str(out), features=True).manifest
    assert manifest is not None
    found = read(out, manifest)
    good = [row for row in scored.rows if row["page"] is not None]
    assert (manifest.spine_rows, manifest.rows, manifest.bad_rows) == (ROWS, len(good), ROWS // 100)
    assert found["visit_id"].to_pylist() == [row["visit_id"] for row in good]
    assert found["basket"].to_pylist() == [row["basket"] for row in good]
    assert found["_row"].to_pylist() == [i for i in range(ROWS) if i % 100 != 99]
    bad = pq.read_table(out / "_bad_rows" / "part-00000.parquet").to_pylist()
    assert [(row["row"], row["field"]) for row in bad] == [
        (i, "page") for i in range(99, ROWS, 100)
    ]
    sampled = list(range(0, len(good), 29))
    features = scored.served([good[i] for i in sampled], manifest.origin.as_of_us)
    inputs = scored_model(scored).inputs
    have = [found["features"][i].as_py() for i in sampled]
    numeric = [[row[name] for name in inputs.numeric] for row in have]
    np.testing.assert_array_equal(np.array(numeric, float), features.numeric)
    metadata = pq.read_schema(out / manifest.files[0].path).metadata
    assert msgspec.json.decode(metadata[METADATA], type=ScoreOrigin) == manifest.origin
    assert msgspec.json.decode((out / "_score.json").read_bytes(), type=ScoreManifest) == manifest


def scored_model(scored: Scored) -> Any:
    """The promoted model, loaded as a worker loads it."""
    shop = scored.shop
    origin = told_by_topics(shop.settings, shop.pipeline).origin(scored.model, "", None)
    network, digest = scored.model.network.path, shop.pipeline.digest
    chosen = Chosen(promoted_json(origin.promoted), network, digest)
    return chosen.scorer(Files(shop.settings), shop.settings.pipeline)


def test_scores_are_rebuilt_from_their_features_and_place(scored: Scored, tmp_path: Path) -> None:
    """A row's place in its batch follows from its place in the file."""
    from twinstream.features.arrays import from_table

    out = tmp_path / "scores"
    manifest = scored.score(out=str(out), features=True).manifest
    assert manifest is not None
    scorer = scored_model(scored)
    found = pq.read_table(out / manifest.files[0].path)
    features = pa.Table.from_struct_array(found["features"].combine_chunks())
    scores, shapes = scorer.predict(from_table(features, scorer.inputs))
    assert found["prediction"].to_pylist() == scores
    assert found["_batch_shape"].to_pylist() == shapes


def test_the_same_spine_gives_the_same_digest_and_is_not_replaced_unasked(
    scored: Scored, tmp_path: Path
) -> None:
    out = tmp_path / "scores"
    first = scored.score(out=str(out)).manifest
    with pytest.raises(SettingsError, match="is there already"):
        scored.score(out=str(out))
    again = scored.score(out=str(out), overwrite=True).manifest
    assert first is not None
    assert again is not None
    assert first.digest == again.digest
    assert sorted(path.name for path in tmp_path.iterdir()) == ["scores"]


def test_a_strict_run_with_a_bad_row_writes_nothing(scored: Scored, tmp_path: Path) -> None:
    with pytest.raises(MeshError, match=r"15 of 1500 rows are bad.*row 99: page"):
        scored.score(out=str(tmp_path / "scores"), strict=True)
    assert list(tmp_path.iterdir()) == []


def command(scored: Scored, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`twinstream score` as a process, beside engines that run elsewhere."""
    env = {**os.environ, **scored.env, "TWINSTREAM_EXTERNAL": "1"}  # type: ignore[attr-defined]
    given = [sys.executable, "-m", "twinstream.entry", "score", "will-buy", *arguments]
    return subprocess.run(given, env=env, capture_output=True, text=True, timeout=300, check=False)


def test_the_command_scores_to_s3_and_into_a_table(scored: Scored, tmp_path: Path) -> None:
    place = f"s3://{scored.shop.settings.bucket}/mine/scores"
    given = ["--spine", str(scored.spine), "--out", place, "--table", "shop.scores", "--json"]
    done = command(scored, *given)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    again = scored.score(out=str(tmp_path / "scores")).manifest
    assert again is not None
    assert said["digest"] == again.digest
    table = scored.shop.spark.sql("select count(*) n, avg(prediction) p from shop.scores").collect()
    assert table[0]["n"] == said["rows"]
    assert 0 < table[0]["p"] < 1
    refused = command(scored, *given)
    assert (refused.returncode, "is there already" in refused.stderr) == (2, True)
    history = command(
        scored, *given[:3], f"{place}2", "--table", "shop.history_visits", "--overwrite"
    )
    assert (history.returncode, "was not made by" in history.stderr) == (2, True)
    assert scored.shop.spark.table("shop.history_visits").count() > 0
    replaced = command(scored, *given, "--overwrite")
    assert replaced.returncode == 0, replaced.stderr
    names = scored.shop.world.store.list(scored.shop.settings.bucket, "mine/scores/")
    assert [name.rsplit("/", 1)[1] for name in names if "_bad" not in name] == [
        "_score.json",
        "part-00000.parquet",
    ]
