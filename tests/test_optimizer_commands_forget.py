"""``preceptor forget`` and retention: a planted text is gone from every file of the data folder."""

import contextlib
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from gateway.cli import run
from gateway.domain import Activation, Evidence, Exchange, Feedback, Measured, Rule, RuleRecord, RuleSet
from gateway.proof import PartSource
from gateway.routing.conversation import tenant_digest
from gateway.store.notes import FORGOTTEN
from gateway.store.retention import BATCH, clear_copies
from gateway.store.selection import shadow_id
from gateway.store.spool import Spool
from gateway.store.sql import SqlStore
from gateway.teaching import Example
from optimizer.commands.forget import forget
from optimizer.dataset.items import item_of_request
from optimizer.evaluation.answer_cache import FOLDER, Answer, AnswerCache, forget_answers
from tests.test_store_sql import EXCHANGE

PLANT = "plant-1742"
TASK = "sums"
DAY_S = 86_400.0


@pytest.fixture
def config(tmp_path: Path) -> str:
    file = tmp_path / "preceptor.toml"
    file.write_text(
        f'[server]\ndata_dir = "{tmp_path / "data"}"\n[upstreams.u]\nkind = "openai"\nbase_url = "http://127.0.0.1:9/v1"\n'
        f'[models.m]\nupstream = "u"\nmodel = "x"\n[tasks.{TASK}]\nweak = "m"\nstrong = "m"\n'
    )
    return str(file)


def asked(id_: str, text: str, user: str, **changes: Any) -> Exchange:
    request = json.dumps({"model": "m", "messages": [{"role": "user", "content": text}], "user": user}).encode()
    return msgspec.structs.replace(EXCHANGE, id=id_, request=request, reply=text, **changes)


def planted(data: Path, *, more: bool = True) -> None:
    """A text in everything that an exchange of the user ann leaves behind, and an exchange of somebody else."""
    ann = [asked("a", PLANT, "ann", key="team-a"), asked("a2", "x" * 9000 + PLANT, "ann")]
    store = SqlStore.open(data)
    store.record([*ann, asked(shadow_id("a"), PLANT, "ann", arm="shadow"), asked("b", "harmless", "bob", created=9e9)])
    store.add_feedback(Feedback(exchange_id="a", created=2.0, expected=PLANT, comment=PLANT))
    outcome = {"task": TASK, "note": "n", "verdict": "better", "fixed_examples": [{"input": PLANT}],
               "records": [{"text": PLANT}], "carried": {"items": [PLANT]}}  # fmt: skip
    for ended in (True, False):
        cycle = store.begin_cycle(TASK, 3.0, msgspec.json.encode({"items": PLANT}))
        if ended:
            store.end_cycle(cycle.id, 4.0, msgspec.json.encode(outcome))
    if more:
        item = item_of_request(ann[0].request).id
        record = RuleRecord(id="r", text="Be careful.", reason="", status="kept", mistakes=(item,))
        measured = Measured(accuracy=0.5, n=10)
        evidence = Evidence(
            verdict="better", before=measured, after=measured, fixed=1, broken=0, items_used=10, p_value=0.01,
            interval=(0.0, 0.1), rules=(record,),
        )  # fmt: skip
        store.publish(RuleSet(
            task=TASK, rules=(Rule(text="Be careful."),), evidence=evidence,
            examples=(Example(question=PLANT, answer="4", origin="a"), Example(question="2?", answer="4", origin="b")),
        ))  # fmt: skip
        store.activate(Activation(task=TASK, version=1, created=5.0, by="t"))
        Spool(data / "spool.jsonl").append([asked("spooled", PLANT, "ann")])
        with (data / "spool.jsonl").open("ab") as file:
            file.write(b'{"id": "' + PLANT.encode())
    store.close()
    with contextlib.closing(AnswerCache(data / FOLDER)) as cache:
        cache.put(b"k", Answer(text=PLANT))


def holding(data: Path) -> list[str]:
    """The files in which the text stands."""
    return [file.name for file in sorted(data.rglob("*")) if file.is_file() and PLANT.encode() in file.read_bytes()]


@pytest.mark.parametrize("selection", [["--user", "ann"], ["--id", "a", "--id", "a2", "--id", "spooled"]])
def test_what_is_forgotten_is_in_no_file_any_more(
    config: str, tmp_path: Path, selection: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Database and its log, spool files, cache of answers; others' exchanges and examples stay."""
    data = tmp_path / "data"
    planted(data)
    assert len(holding(data)) >= 3
    assert run(["forget", *selection, "--yes", "--json", "-c", config]) == 0
    assert holding(data) == []
    forgotten = json.loads(capsys.readouterr().out)
    assert (forgotten["exchanges"], forgotten["cycles"], forgotten["answers"]) == (3, 2, 1)
    assert forgotten["examples"] == [f"{TASK} 1"]
    assert forgotten["rules"] == [{"task": TASK, "version": 1, "text": "Be careful.", "alone": True}]
    assert forgotten["off_air"] == [f"{TASK}: no rules are live (the exchanges behind it were deleted)"]
    with contextlib.closing(SqlStore.open(data)) as store:
        assert store.exchange("b") is not None and store.open_cycle(TASK) is None
        kept = store.rule_set(TASK, 1)
        assert kept is not None and TASK not in store.active()
        assert [example.origin for example in kept.examples] == ["b"] and len(kept.rules) == 1
        assert [entry.kind for entry in store.history(TASK)] == ["live", "redaction", "live"]


def test_running_gateways_hear_of_it(config: str, tmp_path: Path) -> None:
    """By a note: they drop the replies that they keep in memory. Each time has a note of its own."""
    planted(tmp_path / "data")
    notes = []
    for _ in range(2):
        assert run(["forget", "--key", "nobody", "--yes", "-c", config]) == 0
        with contextlib.closing(SqlStore.open(tmp_path / "data")) as store:
            notes.append(FORGOTTEN.read(store))
    assert None not in notes and notes[0] != notes[1]


def taught(store: SqlStore, *, keys: tuple[str, ...], tenants: tuple[str, ...]) -> None:
    """A live version with a rule from these, and one before it from others."""
    measured = Measured(accuracy=0.5, n=10)
    for text, of, who in (("Older.", ("x", "y", "z"), ("1", "2", "3")), ("Newer.", keys, tenants)):
        source = PartSource(part="rule", text=text, exchanges=9, keys=of, tenants=who)
        evidence = Evidence(
            verdict="better", before=measured, after=measured, fixed=1, broken=0, items_used=10, p_value=0.01,
            interval=(0.0, 0.1), sources=(source,),
        )  # fmt: skip
        stored = store.publish(RuleSet(task=TASK, rules=(Rule(text=text),), evidence=evidence))
        store.activate(Activation(task=TASK, version=stored.version, created=5.0, by="t"))


ANN = tenant_digest(["ann"]) or ""
BOB, CID = "b" * 16, "c" * 16


@pytest.mark.parametrize(
    ("keys", "tenants", "arguments", "live"),
    [
        (("team-a", "k2", "k3"), (ANN, BOB, CID), ["--user", "ann"], 2),
        (("team-a", "k2", "k3"), (ANN, BOB), ["--user", "ann"], 1),
        (("team-a", "k2", "k3"), (ANN, BOB, CID), ["--key", "team-a"], 2),
        (("team-a", "k2"), (ANN, BOB, CID), ["--key", "team-a"], 1),
        (("team-a", "k2", "k3"), (ANN, BOB, CID), ["--key", "team-a", "--off-air"], 1),
        (("k2", "k3"), (BOB, CID), ["--key", "team-a", "--off-air"], 2),
    ],
)
def test_what_stands_on_a_key_or_a_person_goes_off_the_air(
    config: str, tmp_path: Path, keys: tuple[str, ...], tenants: tuple[str, ...], arguments: list[str], live: int
) -> None:
    """Unless two others taught the rule as well; after a key was revoked, whatever it helped to write."""
    planted(tmp_path / "data", more=False)
    with contextlib.closing(SqlStore.open(tmp_path / "data")) as store:
        taught(store, keys=keys, tenants=tenants)
    assert run(["forget", *arguments, "--yes", "-c", config]) == 0
    with contextlib.closing(SqlStore.open(tmp_path / "data")) as store:
        assert store.active()[TASK].version == live


def test_a_key_s_exchanges_are_forgotten_alone(config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By the name of the key; the same person's other exchanges stay."""
    planted(tmp_path / "data")
    assert run(["forget", "--key", "team-a", "--yes", "-c", config]) == 0
    out = capsys.readouterr().out
    assert "1 exchanges deleted" in out and "rule set sums 1 lost examples" in out and "Be careful." in out
    with contextlib.closing(SqlStore.open(tmp_path / "data")) as store:
        assert [one.id for one in store.recorded(0, limit=9)[0]] == ["a2", "b", "spooled"]


def test_somebody_must_be_named(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    """To forget everything by mistake would be easy otherwise."""
    assert run(["forget", "--yes", "-c", config]) != 0
    assert "--id, --key or --user" in capsys.readouterr().err


def test_without_a_yes_nothing_is_deleted(config: str, tmp_path: Path) -> None:
    """The command asks first."""
    planted(tmp_path / "data", more=False)
    result = CliRunner().invoke(forget, ["--user", "ann", "-c", config], input="n\n")
    assert result.exit_code != 0 and "Delete 2 exchanges" in result.output
    with contextlib.closing(SqlStore.open(tmp_path / "data")) as store:
        assert store.exchange("a") is not None


def test_retention_leaves_no_copy_of_an_old_text(tmp_path: Path) -> None:
    """Neither in the database and its log, nor in cycles or the cache of answers."""
    data = tmp_path / "data"
    planted(data, more=False)
    with contextlib.closing(SqlStore.open(data)) as store:
        while store.forget(DAY_S, limit=BATCH) == BATCH:
            pass
        assert clear_copies(store, DAY_S, [lambda before: forget_answers(data / FOLDER)]) == 3
        assert holding(data) == []
        assert clear_copies(store, DAY_S, ()) == 0


def test_young_answers_stay(tmp_path: Path) -> None:
    """A folder without a cache has none to delete."""
    with contextlib.closing(AnswerCache(tmp_path / FOLDER)) as cache:
        cache.put(b"k", Answer(text="4"))
    assert forget_answers(tmp_path / FOLDER, 0.0) == 0
    assert forget_answers(tmp_path / "nowhere") == 0
    with contextlib.closing(AnswerCache(tmp_path / FOLDER)) as cache:
        assert cache.get(b"k") == Answer(text="4")
