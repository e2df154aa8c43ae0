"""The demos as scenarios: phrases on two local models, word problems on one, tickets on scripts. Starts nothing."""

from itertools import islice
from pathlib import Path

from gateway.settings import ExactGrader, NumericGrader
from optimizer.demo.contract import MODEL, DemoClient, Scenario
from optimizer.demo.phrases import PROMPT as PHRASES_PROMPT
from optimizer.demo.phrases import phrases
from optimizer.demo.plain_client import PlainClient
from optimizer.demo.problems import BASE_PROMPT, problems
from optimizer.demo.tickets import DESKS, PROMPT, tickets, weak_reply

CONCURRENCY = 2
WORKLOAD_PER_ITEM = 2.75
"""Problems of the workload per measured problem: 40 of 110 fall to confirmation."""
SEED = 20240816
STREAM_PAUSE_S = 20.0
_QUICK_ITEMS = 40
_QUICK_PAUSE_S = 0.2

_EMBEDDED = """\
kind = "llamacpp"
parallel = 3
context = {context}
"""
EMBEDDED = _EMBEDDED.format(context=2048)
SHORT_TEXTS = _EMBEDDED.format(context=1024)
"""For a phrase, four similar ones and a working. A small model that loops writes until its context is full."""
_CONFIG = """\
[server]
lame_duck_s = 0
arm_headers = true
data_dir = "{data_dir}"

[upstreams.local]
{upstream}

[models.{weak}]
upstream = "local"
model = "{weak_model}"
{more}
[tasks.{task}]
match = {{ model = "{client_model}" }}   # what the clients have always asked for
weak = "{weak}"
strong = "{strong}"
grader = {{ kind = "{grader}" }}
{labels}rollout = {{ policy = "at_once", holdback = 0 }}   # the demo has no hours for a trial

[optimizer]
schedule = "*/{every_s} * * * * *"          # seconds between looks; a cycle starts once there are enough mistakes
min_mistakes = {min_mistakes}
max_rules = {max_rules}
selection_items = {selection}
confirmation_items = {items}
concurrency = {concurrency}
max_output_tokens = {most}
"""


def spoken_phrases(
    folder: Path, weak: str, strong: str, items: int, *, upstream: str = SHORT_TEXTS, teacher: str = EMBEDDED,
    pause_s: float = STREAM_PAUSE_S,
) -> Scenario:  # fmt: skip
    """Return the demo on two local models.

    ``upstream`` and ``teacher`` are the bodies of the weak and the strong model's sections of ``[upstreams]``.
    """
    workload = round(items * WORKLOAD_PER_ITEM)
    made = tuple(islice(phrases(SEED), items + workload))
    return Scenario(
        task="phrases",
        config=_CONFIG.format(
            data_dir=folder, upstream=upstream, weak="small", weak_model=weak, strong="large",
            more=f'\n[upstreams.teacher]\n{teacher}\n[models.large]\nupstream = "teacher"\nmodel = "{strong}"\n',
            task="phrases",
            grader="exact", labels="", client_model=MODEL, every_s=5, min_mistakes=max(5, workload // 3),
            selection=20, max_rules=4, items=items, concurrency=CONCURRENCY, most=64,
        ),
        measured=made[:items],
        workload=made[items:],
        grader=ExactGrader(),
        client=lambda base_url: _openai_client(base_url, PHRASES_PROMPT),
        models=f"{weak}, taught by {strong}",
        noun="phrases",
        right="the reply is the written form of the house, which no instruction states",
        closing=(
            f"{weak} served and {strong} taught: both small enough for this machine. Your own weak and strong model",
            "are two lines of the configuration.",
        ),
        pause_s=pause_s,
    )  # fmt: skip


def word_problems(
    folder: Path, model: str, items: int, *, upstream: str = EMBEDDED, pause_s: float = STREAM_PAUSE_S
) -> Scenario:
    """Return the demo on a local model. ``upstream`` is the body of the section ``[upstreams.local]``."""
    workload = round(items * WORKLOAD_PER_ITEM)
    made = tuple(islice(problems(SEED), items + workload))
    task = "word-problems"
    return Scenario(
        task=task,
        config=_CONFIG.format(
            data_dir=folder, upstream=upstream, weak="qwen", weak_model=model, more="", task=task, strong="qwen",
            grader="numeric", labels="", client_model=MODEL, every_s=5, min_mistakes=max(5, workload // 3),
            selection=6, max_rules=4, items=items, concurrency=CONCURRENCY, most=512,
        ),
        measured=made[:items],
        workload=made[items:],
        grader=NumericGrader(),
        client=_openai_client,
        models=model,
        noun="problems",
        right="the reply states the answer and no other number, as its prompt promises",
        closing=(
            "One small model played both roles here: it served the task and taught itself. A stronger teacher is one",
            "line of the configuration: strong = ...",
        ),
        pause_s=pause_s,
    )  # fmt: skip


def scripted_tickets(folder: Path, address: str) -> Scenario:
    """Return the quick demo on the scripted models at ``address``."""
    workload = round(_QUICK_ITEMS * WORKLOAD_PER_ITEM)
    made = tuple(islice(tickets(SEED), _QUICK_ITEMS + workload))
    task = "tickets"
    guesses = [weak_reply({"messages": [{"content": ticket.question}]}) for ticket in made[_QUICK_ITEMS:]]
    mistakes = sum(guess != ticket.answer for guess, ticket in zip(guesses, made[_QUICK_ITEMS:], strict=True))
    return Scenario(
        task=task,
        config=_CONFIG.format(
            data_dir=folder, upstream=f'kind = "openai"\nbase_url = "{address}"\n', weak="scripted-weak",
            weak_model="scripted-weak", strong="scripted-strong",
            more='\n[models.scripted-strong]\nupstream = "local"\nmodel = "scripted-strong"\n', task=task,
            grader="exact", labels=f"labels = {list(DESKS)}\n".replace("'", '"'), client_model=MODEL, every_s=1,
            min_mistakes=mistakes, selection=20, max_rules=6, items=_QUICK_ITEMS, concurrency=CONCURRENCY,
            most=512,
        ),
        measured=made[:_QUICK_ITEMS],
        workload=made[_QUICK_ITEMS:],
        grader=ExactGrader(),
        client=lambda base_url: PlainClient(base_url, PROMPT),
        models="scripted",
        noun="tickets",
        right="the reply is the desk of the house conventions",
        closing=(
            "Scripts played both models: the weak one knows keywords and obeys the rules in its prompt; the strong one",
            "always proposes the same five rules, three of them right, one useless, one harmful. Recording, feedback,",
            "schedule, selection, test and swap are the product's own. With a real small model: preceptor demo",
        ),
        pause_s=_QUICK_PAUSE_S,
    )  # fmt: skip


def _openai_client(base_url: str, prompt: str = BASE_PROMPT) -> DemoClient:
    from optimizer.demo.client import Client

    return Client(base_url, prompt)
