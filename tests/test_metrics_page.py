"""Page, board and alerts about the metrics name what a gateway shows, with the labels that it has."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import yaml
from prometheus_client.parser import text_string_to_metric_families as parsed

from tests.fakes import CONFIG, FakeUpstream, asked, served

ROOT = Path(__file__).parents[1]
OF_A_PROCESS = {
    "preceptor_connections",
    "preceptor_counters_away",
    "preceptor_learning",
    "preceptor_learning_hangs",
    "preceptor_log_dropped",
    "preceptor_spans_dropped",
    "preceptor_store_bytes",
    "preceptor_writer_dropped",
    "preceptor_writer_pending",
}
"""Metrics without labels that only a whole process registers."""
_NAME = re.compile(r"preceptor_[a-z_]+")
_SELECTOR = re.compile(r"(preceptor_[a-z_]+)\{([^}]*)\}")
_BY = re.compile(r"by \(([a-z_, ]+)\) \((?:rate\()?(preceptor_[a-z_]+)")
_PARTS = re.compile(r"_(?:total|bucket|sum|count|created)$")


def base(name: str) -> str:
    return _PARTS.sub("", name)


def in_the_code() -> set[str]:
    """The metrics that the code defines."""
    text = "".join(path.read_text() for room in ("gateway", "optimizer") for path in (ROOT / room).rglob("*.py"))
    kinds = r"(?:Counter|Gauge|Histogram|CounterMetricFamily|GaugeMetricFamily|HistogramMetricFamily|gauge)"
    return {base(name) for name in re.findall(kinds + r'\(\s*"(preceptor_[a-z_]+)"', text)}


def on_the_page() -> Mapping[str, set[str]]:
    """The metrics of the page with their labels."""
    page = (ROOT / "docs/metrics.md").read_text()
    rows = re.findall(r"^\| `(preceptor_\w+)` \| \w+ \|([^|]*)\|", page, re.MULTILINE)
    return {base(name): set(re.findall(r"`(\w+)`", labels)) for name, labels in rows}


def expressions() -> Iterator[str]:
    board = json.loads((ROOT / "deploy/grafana.json").read_text())
    yield from (target["expr"] for panel in board["panels"] for target in panel["targets"])
    alerts = yaml.safe_load((ROOT / "deploy/alerts.yml").read_text())
    yield from (rule["expr"] for group in alerts["groups"] for rule in group["rules"])


def test_the_page_knows_every_metric() -> None:
    """And none that is gone."""
    assert set(on_the_page()) == in_the_code()


async def test_the_labels_of_the_page_are_those_of_a_gateway() -> None:
    """After requests of every kind; a metric that had nothing to count yet is not compared."""
    text = CONFIG.replace("[optimizer]", "limits = { requests_per_minute = 60 }\n[optimizer]")
    async with served(FakeUpstream(lambda body: "4"), text) as gateway:
        for body in (asked(), asked(stream=True), asked("nobody knows me")):
            await gateway.client.post("/v1/chat/completions", json=body)
        shown = (await gateway.client.get("/metrics")).text
    labels: dict[str, set[str]] = defaultdict(set)
    for family in parsed(shown):
        for sample in family.samples:
            labels[base(family.name)] |= set(sample.labels) - {"le"}
    page = on_the_page()
    compared = {name for name in labels if name in page and name not in OF_A_PROCESS}
    assert {name: labels[name] for name in compared} == {name: page[name] for name in compared}
    assert {"preceptor_requests", "preceptor_refused", "preceptor_first_token_seconds"} <= compared
    assert "nobody knows me" not in shown


def test_board_and_alerts_ask_for_what_there_is() -> None:
    """Names of metrics and of labels, in selectors and in groups."""
    page = on_the_page()
    for expression in expressions():
        assert _NAME.search(expression), expression
        assert {base(name) for name in _NAME.findall(expression)} <= set(page), expression
        for name, selector in _SELECTOR.findall(expression):
            assert set(re.findall(r"(\w+)\s*(?:=~|=|!=)", selector)) <= page[base(name)], expression
        for names, name in _BY.findall(expression):
            assert set(re.split(r",\s*", names)) - {"le"} <= page[base(name)], expression
