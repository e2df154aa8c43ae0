"""Results of the gateway's benchmark in the documents: ``tests/bench/gateway/written.py``."""

from pathlib import Path

import pytest

from tests.bench.gateway import written
from tests.bench.gateway.process import ROOT
from tests.bench.gateway.results import Results
from tests.bench.gateway.rounds import DIRECT, Run
from tests.bench.gateway.written import DOCUMENTS, OURS, PLOT, WISHES, Figures, filled, places, summary

SPEED = {DIRECT: 100_000.0, OURS: 10_000.0, "nginx": 40_000.0, "portkey": 900.0, "litellm": 100.0, "327abc6": 8_000.0}


def run(case: str, target: str, p50: float = 0.1, p99: float = 0.3) -> Run:
    values = {"rps": SPEED[target], "p50": p50, "p99": p99, "failed": 0.0, "foreign": 0.0, "cpu_us": 80.0}
    return Run(case=case, target=target, round=0, values={**values, "rss_mb": 90.0})


def results() -> Results:
    runs = [run(f"throughput fixed {count}", target) for count in (1, 64) for target in SPEED]
    return Results(machine={"machine": "a test"}, rounds=1, seconds=1, wobble=0.15, runs=runs)


def test_a_place_is_filled_and_the_rest_of_a_document_stays() -> None:
    document = "before <!-- bench median -->old\ntext<!-- /bench --> between <!-- bench other -->kept<!-- /bench -->"
    assert filled(document, {"median": "new"}) == (
        "before <!-- bench median -->new<!-- /bench --> between <!-- bench other -->kept<!-- /bench -->"
    )


def test_a_text_is_no_template() -> None:
    assert filled("<!-- bench median -->x<!-- /bench -->", {"median": r"\1 50%"}).count(r"\1 50%") == 1


def test_the_documents_have_a_place_for_every_text_and_the_second_writing_changes_nothing(tmp_path: Path) -> None:
    for name in (*DOCUMENTS, PLOT):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    first = written.write(results(), tmp_path)
    assert {place.partition(": ")[2] for place in first} == set(places(results()))
    before = [(tmp_path / name).read_text(encoding="utf-8") for name in DOCUMENTS]
    assert written.write(results(), tmp_path) == first
    assert [(tmp_path / name).read_text(encoding="utf-8") for name in DOCUMENTS] == before


def test_every_bar_says_whether_it_was_kept_and_one_without_a_quiet_round_says_that() -> None:
    lines = summary(Figures(results())).splitlines()
    assert "| 64 connections, requests/s, times Portkey: at least 10 | 11.1 | kept |" in lines
    assert "| 64 connections, nginx's requests/s, times ours: at most 5 | 4.0 | kept |" in lines
    assert "| 64 connections, 100 KB, p99, ms: at most 30 | not measured | - |" in lines


@pytest.mark.parametrize("wish", WISHES, ids=lambda wish: wish.text)
def test_a_bar_has_one_bound_which_itself_keeps_it(wish: written.Wish) -> None:
    bound = wish.least if wish.least is not None else wish.most
    assert bound is not None and wish.kept(bound) and (wish.least is None) != (wish.most is None)


def test_another_checkout_is_set_beside_ours() -> None:
    lines = summary(Figures(results())).splitlines()
    assert "| beside 327abc6, ours / its | requests/s | median | p99 |" in lines
    assert "| 64 connections | 1.25 | 1.00 | 1.00 |" in lines and "| 16 connections | - | - | - |" in lines
