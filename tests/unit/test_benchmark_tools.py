"""What the benchmarks' tables and plots are made with."""

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from benchmarks import memory, plot, render


def test_the_slope_is_that_of_a_line() -> None:
    assert memory.slope_per_minute([(m / 10, 50 + 3 * m / 10) for m in range(40)]) == pytest.approx(
        3.0
    )
    assert memory.slope_per_minute([(0.0, 5.0), (1.0, 7.0), (2.0, 5.0)]) == pytest.approx(0.0)


def test_memory_is_that_of_a_process_with_its_children() -> None:
    hold = (
        "import subprocess, sys; held = b'x' * 50_000_000; print('held', flush=True); "
        "sys.stdin.read()"
    )
    nested = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {hold!r}])"
    with subprocess.Popen(
        [sys.executable, "-c", nested], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        assert memory.of_tree(process.pid)["anonymous"] > 50
        process.communicate()
    assert memory.of_tree(process.pid) == {"anonymous": 0.0, "files": 0.0}


def test_a_plot_has_a_line_and_a_name_for_each_series(tmp_path: Path) -> None:
    plot.lines(
        tmp_path / "p.svg",
        "a < b",
        "minutes",
        "MB",
        {"view": [(0, 1), (1, 2)], "kafka": [(0, 3), (1, 3)]},
    )
    drawn = ET.parse(tmp_path / "p.svg").getroot()
    names = [text.text for text in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert len(list(drawn.iter("{http://www.w3.org/2000/svg}polyline"))) == 2
    assert {"a < b", "view", "kafka", "minutes", "MB"} <= set(names)


def test_figures_of_several_names_become_a_table_and_others_rows() -> None:
    result = {
        "benchmark": "none-such",
        "command": "c",
        "commit": "1",
        "at": "now",
        "machine": {"cores": 2},
        "figures": {
            "seconds": 3,
            "read_us": {"p50": 1, "p99": 2},
            "processes": {"view": {"mb": 5, "slope": 0}, "kafka": {"mb": 6, "slope": 1}},
        },
    }
    text = render._section(result)
    assert "| read us p99 | 2 |" in text
    assert (
        "| processes | mb | slope |\n|---|---|---|\n| view | 5 | 0 |\n| kafka | 6 | 1 |\n" in text
    )
