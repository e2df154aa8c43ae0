"""The sections of the configuration: frozen structs whose fields carry their unit and meaning in ``doc``.

The reference in ``docs/configuration.md`` is generated from them.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, field

from gateway.settings.base import Count, Name, Positive, RecordMode, Section, doc
from gateway.settings.caching import Caching
from gateway.settings.graders import ExactGrader, Grader
from gateway.settings.keys import Key
from gateway.settings.log import Log
from gateway.settings.models import Model
from gateway.settings.quotas import NO_LIMITS, Budget, Limits
from gateway.settings.rollout import Audit, Rollout, Shadow
from gateway.settings.server import Server
from gateway.settings.tracing import Tracing
from gateway.settings.upstreams import UpstreamSettings


class Match(Section, frozen=True):
    """The conditions for a request to belong to a task; all given conditions must hold."""

    model: Annotated[str | None, doc("The model named by the client, literally.")] = None
    header: Annotated[Mapping[str, str], doc("Request headers and their values, literally.")] = {}
    system_prompt: Annotated[
        str | None,
        doc(
            "Regular expression to search for in the text of the system or developer message: Python's, without"
            " look-around and back-references, so that it is searched in linear time."
        ),
    ] = None


class Task(Section, frozen=True):
    """A kind of request and the models for it."""

    weak: Annotated[str, doc("Name of the model to serve the task and to be taught.")]
    strong: Annotated[str, doc("Name of the model to explain mistakes and write rules.")]
    match: Annotated[
        Match, doc("Conditions for requests to belong to the task; without them a client names the task.")
    ] = Match()
    serve: Annotated[
        Literal["weak", "strong", "shadow", "canary"],
        doc(
            "The model that answers. `shadow`: the strong model; the weak model is asked in the background. `canary`:"
            " the strong model; the weak model answers a growing share of the conversations."
        ),
    ] = "weak"
    fallback: Annotated[
        tuple[str, ...], doc("Models to ask in turn, before the first byte, when the first model cannot answer.")
    ] = ()
    grader: Annotated[Grader, doc("Comparison of a reply with the expected answer.")] = ExactGrader()
    rollout: Annotated[Rollout, doc("The way of rule sets to callers.")] = Rollout()
    shadow: Annotated[Shadow, doc("Comparison in the background.")] = Shadow()
    audit: Annotated[Audit, doc("The sample on which replies and rule sets are measured.")] = Audit()
    record: Annotated[RecordMode | None, doc("The same as `server.record`, for this task; default: as there.")] = None
    labels: Annotated[
        tuple[str, ...],
        doc(
            "The labels of the task: a closed set of answers. Rules and worksheets may name them, however few"
            " conversations have them, and the strong model is shown all of them."
        ),
    ] = ()
    limits: Annotated[Limits, doc("What all clients together may ask for.")] = NO_LIMITS
    budget: Annotated[
        Budget | None, doc("What the task may cost, its learning included; learning ends where it is spent.")
    ] = None
    cache: Annotated[
        Caching | None, doc("Answer a request at temperature 0 from memory if it was answered before.")
    ] = None
    schedule: Annotated[str | None, doc("Cron expression of this task's cycles; default: `optimizer.schedule`.")] = None

    @property
    def shadow_share(self) -> float:
        """The share of requests sent to the other model as well."""
        if self.shadow.share is not None:
            return self.shadow.share
        return 0.1 if self.serve in ("shadow", "canary") else 0.0


class Optimizer(Section, frozen=True):
    """Times, limits and budgets of learning."""

    enabled: Annotated[bool, doc("Learn beside the gateway, in a process of its own; read at its start.")] = True
    schedule: Annotated[str, doc("Cron expression, five fields or six with seconds first.")] = "*/30 * * * *"
    sweep_s: Annotated[
        Positive, doc("Seconds between two looks at new traffic: signs of failure, shadows, roll-outs.")
    ] = 5.0
    hang_s: Annotated[
        Positive, doc("Seconds without a sign of life until the learning process is killed and started again.")
    ] = 10.0
    min_mistakes: Annotated[Count, doc("New mistakes before a scheduled cycle begins.")] = 5
    max_items: Annotated[Count, doc("Graded exchanges in a cycle: the newest, and some from the time before.")] = 600
    max_read_mb: Annotated[
        Positive,
        doc(
            "Requests and replies that a cycle reads from the records, in MB (10^6 bytes); the largest exchanges are"
            " left out."
        ),
    ] = 64.0
    max_share_per_tenant: Annotated[
        float,
        Meta(gt=0, le=1),
        doc(
            "Largest share of these from a single end user, where requests name users (`user`, `safety_identifier`,"
            " `metadata.user_id`); with too few users for that, each brings at most an equal share."
        ),
    ] = 0.25
    quote_conversations: Annotated[
        Count, doc("Conversations that must contain a phrase of users before a rule may quote it.")
    ] = 3
    max_rules: Annotated[Count, doc("Rules in a rule set.")] = 8
    rounds: Annotated[
        Count, doc("Rounds of writing and trying rules in a cycle; a later round shows what is still wrong.")
    ] = 3
    shown_characters: Annotated[
        Count, doc("Characters of examples shown to the strong model in one call; its context must hold them.")
    ] = 40_000
    conditions: Annotated[
        bool,
        doc(
            "Let the strong model put a condition (`when`) on a rule: a request then gets the rules for its own words"
            " only. Worth a try for many conventions and a very small model."
        ),
    ] = False
    prompts_dir: Annotated[
        Path | None,
        doc(
            "Folder with Markdown files in place of our questions to the strong model and the judge"
            " (`optimizer/prompts`): `conventions.md`, `judge.md` and so on, with the same blanks in double braces."
        ),
    ] = None
    selection_items: Annotated[Count, doc("Items for ranking candidates.")] = 40
    confirmation_items: Annotated[Count, doc("Items for testing the chosen candidate against the incumbent.")] = 250
    objective: Annotated[
        Literal["better", "cheaper"],
        doc(
            "`better`: publish a shown gain only. `cheaper`: without a gain, also publish fewer of the active rules or"
            " a cheaper form of them, if a loss of more than `margin` is ruled out and fewer tokens are used."
        ),
    ] = "better"
    margin: Annotated[float, Meta(gt=0, lt=1), doc("Largest loss of accuracy (0..1) for a non-inferior candidate.")] = (
        0.05
    )
    group_margin: Annotated[
        float,
        Meta(gt=0, lt=1),
        doc("Largest loss of accuracy (0..1) for a group: a class, a tenant, a language, short or long questions."),
    ] = 0.05
    outside_margin: Annotated[
        float,
        Meta(ge=0, le=1),
        doc(
            "Largest share (0..1) of the replies, of all or of one tenant, that may gain a link, an address, a code,"
            " another language or a refusal outside the graded answer; where replies are short, also new words, names,"
            " numbers and length. 1: only report."
        ),
    ] = 0.05
    budget_calls: Annotated[Count, doc("Largest number of paid model calls in a cycle.")] = 5000
    budget_tokens: Annotated[
        Count, doc("Largest number of paid tokens (prompt and output, both models) in a cycle.")
    ] = 5_000_000
    concurrency: Annotated[Count, doc("Model calls under way at once.")] = 4
    max_output_tokens: Annotated[Count, doc("Largest number of output tokens of an evaluated reply.")] = 1024
    teacher_output_tokens: Annotated[
        Count,
        doc(
            "The same for a teacher or judge whose reasoning used up its first limit, or whose rules it cut off;"
            " that limit is `max_output_tokens`, 1,024 at least."
        ),
    ] = 8192
    retry_after_cap_s: Annotated[
        Positive, doc("Longest `Retry-After`, in seconds, that learning waits for; a longer one ends the cycle.")
    ] = 120.0


class Settings(Section, frozen=True):
    """The whole configuration, cross-checked."""

    server: Server = Server()
    upstreams: dict[Name, UpstreamSettings] = field(default_factory=dict)
    models: dict[Name, Model] = field(default_factory=dict)
    tasks: dict[Name, Task] = field(default_factory=dict)
    keys: dict[Name, Key] = field(default_factory=dict)
    optimizer: Optimizer = Optimizer()
    log: Log = Log()
    tracing: Tracing = Tracing()
    injection: bool = True
    """``PRECEPTOR_INJECTION=off`` turns every rule set off."""
    secret_files: tuple[Path, ...] = ()
    """The files with secrets, which are watched like the configuration."""
