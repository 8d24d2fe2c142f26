"""The structure that the README promises, read from the code itself."""

import ast
import re
from pathlib import Path

from schemas.topics import CONTROL_TOPICS, SERVICES, data_topics

ROOT = Path(__file__).parents[2]
FOLDERS = ("ingest_svc", "preprocess_svc", "train_svc", "predict_svc", "monitor_svc")
ENGINES = {"pyspark", "faust", "torch", "ray", "flask", "boto3", "lmdb", "optuna"}
ENGINE_HOMES = (
    "adapters/",
    "preprocess_svc/batch/",
    "preprocess_svc/speed/",
    "predict_svc/view/",
    "predict_svc/api/",
    "http_api",
)


def sources(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def imported(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    names = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    return names | {
        node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module
    }


def test_services_do_not_import_each_other() -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for folder in FOLDERS
        for path in sources(folder)
        for name in imported(path)
        if name.split(".")[0] in FOLDERS and name.split(".")[0] != folder
    ]
    assert wrong == []


def test_imports_point_one_way() -> None:
    wrong = [
        f"{p.relative_to(ROOT)}: {n}"
        for p in sources("schemas")
        for n in imported(p)
        if n.split(".")[0] == "twinstream"
    ]
    wrong += [
        f"{p.relative_to(ROOT)}: {n}"
        for p in sources("twinstream", "schemas")
        for n in imported(p)
        if n.split(".")[0] in FOLDERS
    ]
    assert wrong == []


def test_engines_stay_in_their_homes() -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sources(*FOLDERS)
        if not any(home in path.relative_to(ROOT).as_posix() for home in ENGINE_HOMES)
        for name in imported(path)
        if name.split(".")[0] in ENGINES - {"torch"}
        or (name.split(".")[0] == "torch" and "train_svc" not in path.parts)
    ]
    assert wrong == []


def test_the_rules_of_a_view_know_no_store() -> None:
    """LMDB lies behind `predict_svc/view/ports.py`; only what opens a store names its engine."""
    adapters = ROOT / "predict_svc" / "view" / "adapters"
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sources("predict_svc", "monitor_svc", "ingest_svc", "preprocess_svc")
        if adapters not in path.parents and path.name != "opening.py"
        for name in imported(path)
        if name == "lmdb" or name.startswith("predict_svc.view.adapters")
    ]
    assert wrong == []


def test_topic_names_stand_in_one_module() -> None:
    pattern = re.compile(
        r"[\"'](client|ingest|preprocess|train|predict|monitor|mesh)\.[a-z-]+(\.[^\"']*)?\.v\d+[\"']"
    )
    wrong = [
        f"{path.relative_to(ROOT)}: {match.group()}"
        for path in sources("schemas", "twinstream", "deploy", "examples", *FOLDERS)
        if path != ROOT / "schemas" / "topics.py"
        for match in pattern.finditer(path.read_text())
    ]
    assert wrong == []


def test_every_topic_has_one_writer_named_first() -> None:
    topics = [*CONTROL_TOPICS, *data_topics(["orders"], ["by-buyer"], ["will-buy"])]
    assert len({topic.name for topic in topics}) == len(topics)
    assert all(topic.name.split(".")[0] == topic.writer for topic in topics)
    assert {topic.writer for topic in topics} <= {*SERVICES, "client", "mesh"}
    assert not any("_" in topic.name for topic in topics)


def test_readme_lists_every_topic() -> None:
    readme = (ROOT / "README.md").read_text()
    fixed = [topic.name for topic in CONTROL_TOPICS if "dead-letter" not in topic.name]
    generic = [
        topic.name.replace("SOURCE", "<source>")
        .replace("VIEW", "<view>")
        .replace("MODEL", "<model>")
        for topic in data_topics(["SOURCE"], ["VIEW"], ["MODEL"])
    ]
    assert [
        name for name in [*fixed, *generic, "<service>.dead-letter.v1"] if f"`{name}`" not in readme
    ] == []


def test_no_folder_is_a_drawer_for_everything() -> None:
    unclear = {"utils.py", "helpers.py", "common.py", "misc.py", "manager.py"}
    assert [
        p for p in sources("schemas", "twinstream", "deploy", *FOLDERS) if p.name in unclear
    ] == []
