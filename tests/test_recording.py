"""The parts of a record that no reply waits for."""

import json

import msgspec
import pytest

from gateway.formats.chat import open_chat
from gateway.formats.plain import open_embeddings
from gateway.recording import UNKNOWN_RATE, Recorder, audit_rate
from gateway.routing.conversation import cluster_of, tenant_digest
from gateway.routing.route import CompiledSplit, RuleSnapshot
from tests.fakes import CONFIG, settings
from tests.test_store_sql import EXCHANGE

CHAT = open_chat(json.dumps({"model": "m", "messages": [{"role": "user", "content": "Hello"}], "user": "ann"}).encode())


def test_a_record_gets_its_cluster_and_the_rate_at_which_it_was_drawn() -> None:
    """An exchange that is not drawn says 0; a request that is no conversation has no cluster."""
    recorder = Recorder(b"secret")
    completed = recorder.completed(EXCHANGE, CHAT, 1.0)
    tenant = tenant_digest(["ann"])
    assert completed == msgspec.structs.replace(EXCHANGE, tenant=tenant, cluster=cluster_of(CHAT), audit_rate=1.0)
    assert recorder.completed(EXCHANGE, CHAT, 0.0).audit_rate == 0.0
    plain = open_embeddings(b'{"model":"m","input":"x"}')
    assert recorder.completed(EXCHANGE, plain, 0.0).cluster is None


@pytest.mark.parametrize(
    ("rate", "least", "most"), [(0.0, 0, 0), (0.02, 150, 250), (0.5, 4850, 5150), (1.0, 10**4, 10**4)]
)
def test_the_draw_takes_exchanges_at_the_rate(rate: float, least: int, most: int) -> None:
    """Of 10,000 ids."""
    recorder = Recorder(b"secret")
    assert least <= sum(recorder.draws(f"chatcmpl-{number}", rate) for number in range(10_000)) <= most


def test_the_draw_goes_by_the_id_and_a_secret() -> None:
    """The same answer again, and another one for a client that knows the id and not the secret."""
    ours, theirs = Recorder(b"secret"), Recorder(b"guess")
    ids = [f"chatcmpl-{number}" for number in range(1000)]
    drawn = [ours.draws(id_, 0.5) for id_ in ids]
    assert drawn == [ours.draws(id_, 0.5) for id_ in ids]
    assert 400 < sum(ours.draws(id_, 0.5) == theirs.draws(id_, 0.5) for id_ in ids) < 600


def test_the_configured_share_is_the_rate_else_the_optimizer_s() -> None:
    """A task that nobody has counted yet is audited whole; without a task there is nothing to decide."""
    counted = RuleSnapshot(splits={"arithmetic": CompiledSplit(audit_rate=0.25)})
    plain = settings(CONFIG)
    fixed = settings(CONFIG.replace("[optimizer]", "audit = { share = 0.125 }\n[optimizer]"))
    assert audit_rate("arithmetic", fixed, counted) == 0.125
    assert audit_rate("arithmetic", plain, counted) == 0.25
    assert audit_rate("arithmetic", plain, RuleSnapshot()) == UNKNOWN_RATE
    assert audit_rate(None, plain, counted) == audit_rate("gone", plain, counted) == 0.0
