"""A view is read in other processes than its writer's: that is where a predictor is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from predict_svc.view.adapters.lmdb_store import LmdbStore

READER = """
import sys
from predict_svc.view.adapters.lmdb_reads import LmdbReads
reads = LmdbReads(sys.argv[1])
for _ in range(2):
    with reads.begin() as moment:
        print(moment.get(b"progress"), moment.get(b"key", None, reads.tables[3]))
    reads.close()
"""


def test_another_process_reads_what_is_committed(tmp_path: Path) -> None:
    store = LmdbStore(tmp_path, map_gib=1)
    with store.writing() as change:
        store.put_many(change, store.tables[3], [(b"key", b"state")])
        change.put(b"progress", b"5")
    command = [sys.executable, "-c", READER, str(tmp_path)]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    store.close()
    assert found.stdout == "b'5' b'state'\n" * 2
