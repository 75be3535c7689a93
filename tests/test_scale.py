"""The arithmetic of docs/scale.md, and that the page says what the benchmark prints."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from benchmarks.scale import EARLIER, NODE_CORES, TIERS, check, plan, vectors_cost

COSTS = {"originals": 50_000, "catalog": 9_000, "lexical": 6_000, "semantic": 5_000, "visual": 240_000}
COSTS["visual_pooled"] = 16_000
ASSUMED = {"gpu_rate": 10.0, "scans": 0.0}


def test_a_million_pages() -> None:
    found = plan(1_000_000, COSTS, **ASSUMED)
    assert found["disk_gb"] == pytest.approx(310)
    assert found["memory_gb"] == pytest.approx(27)
    assert found["gpu_hours"] == pytest.approx(27.8, abs=0.1)
    assert found["read_core_hours"] == pytest.approx(1000 * EARLIER["read_ms"].value / 3600)
    assert found["search_cores"] == pytest.approx(14.1, abs=0.1)
    assert (found["shards"], found["nodes"]) == (1, 2)


@pytest.mark.parametrize("pages", TIERS)
def test_what_is_planned_checks(pages) -> None:
    found = plan(pages, COSTS, **ASSUMED)
    check(found, COSTS, **ASSUMED)
    for name, wrong in (("disk_gb", 1.01), ("memory_gb", 2), ("shards", 3), ("gpu_hours", 0.5)):
        with pytest.raises(AssertionError):
            check({**found, name: found[name] * wrong}, COSTS, **ASSUMED)


def test_shards_are_what_memory_or_cores_ask_for() -> None:
    heavy = {**COSTS, "semantic": 500_000}
    assert plan(1_000_000, heavy, **ASSUMED)["shards"] == 11  # 522 GB on nodes that hold 48
    many = plan(10_000_000, COSTS, **ASSUMED)
    assert many["shards"] == -(-many["search_cores"] // NODE_CORES)


def test_bytes_of_vectors_are_the_vectors_and_little_else() -> None:
    whole = vectors_cost((100, 128), pooled=False)
    assert 100 * 128 * 2 <= whole <= 100 * 128 * 2 * 1.2
    assert vectors_cost((100, 128), pooled=True) - whole == pytest.approx(64 * 128 * 2, rel=0.05)


def test_the_page_says_what_the_figures_give() -> None:
    text = (Path(__file__).parents[1] / "docs" / "scale.md").read_text(encoding="utf-8")
    told = json.loads(re.search(r"```json\n(.*?)\n```", text, re.DOTALL)[1])
    costs, assumed = told["bytes_a_page"], told["assumed"]
    rows = dict(re.findall(r"^\| .*? \| `(\w+)` \| (.*) \|$", text, re.MULTILINE))
    assert len(rows) == 11
    for place, pages in enumerate(TIERS):
        found = plan(pages, costs, **assumed)
        for name, cells in rows.items():
            told_value = float(cells.split(" | ")[place].replace(",", ""))
            assert told_value == pytest.approx(found[name], rel=0.06), (name, pages)
