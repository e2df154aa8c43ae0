"""The sections of the configuration: frozen structs whose fields carry their unit and meaning in ``doc``.

The reference in ``docs/configuration.md`` is generated from them.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, field

from gateway.settings.base import Count, Name, Positive, Section, doc
from gateway.settings.graders import ExactGrader, Grader
from gateway.settings.keys import Key
from gateway.settings.quirks import Quirks
from gateway.settings.rollout import Audit, Rollout, Shadow
from gateway.settings.upstreams import UpstreamSettings


class Server(Section, frozen=True):
    """Where the gateway listens and keeps its data."""

    host: Annotated[str, doc("Address to listen on.")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535), doc("TCP port; 0 takes a free one.")] = 8100
    data_dir: Annotated[Path, doc("Folder for the database and the caches; made where it is missing.")] = Path("./data")
    default_upstream: Annotated[
        str | None, doc("Upstream to which unknown model names pass through untouched; none answers 404.")
    ] = None
    admin_key: Annotated[
        str | None,
        doc("Key of the admin API (`/admin`), at least 16 characters; write `${VAR}`, not the key. None: it is off."),
    ] = None
    max_body_mb: Annotated[Positive, doc("Largest request body, in MB (10^6 bytes).")] = 20.0
    retention_days: Annotated[
        Positive | None,
        doc("Days after which an exchange and its feedback are deleted; none: they are kept for ever."),
    ] = None
    drain_s: Annotated[Positive, doc("Seconds that running requests get to finish when the gateway stops.")] = 10.0
    workers: Annotated[
        Count,
        doc(
            "Processes that serve, one for each core that it may use; Linux only. Limits on calls under way and"
            " breakers hold for each of them. Read at the start."
        ),
    ] = 1

    def __repr__(self) -> str:
        return f"Server(host={self.host!r}, port={self.port})"  # the admin key is a secret


class Price(Section, frozen=True):
    """What a model costs."""

    input: Annotated[float, Meta(ge=0), doc("USD per million prompt tokens.")] = 0.0
    output: Annotated[float, Meta(ge=0), doc("USD per million output tokens.")] = 0.0


class Model(Section, frozen=True):
    """A name that clients and tasks may use as `model`."""

    upstream: Annotated[str, doc("Name of an upstream.")]
    model: Annotated[
        str, doc("The upstream's own name for it; for `llamacpp` a name from `preceptor models list` or a GGUF path.")
    ]
    price: Annotated[Price, doc("Optional, for reports.")] = Price()
    quirks: Annotated[
        Quirks, doc("Peculiarities of the model; the gateway learns most of them from the model's own refusals.")
    ] = Quirks()


class Match(Section, frozen=True):
    """How a request is recognised as belonging to a task; everything given must hold."""

    model: Annotated[str | None, doc("The model that the client asks for, literally.")] = None
    header: Annotated[Mapping[str, str], doc("Request headers and their values, literally.")] = {}
    system_prompt: Annotated[
        str | None, doc("Regular expression, searched for in the text of the system or developer message.")
    ] = None


class Task(Section, frozen=True):
    """A kind of request and how it is served."""

    weak: Annotated[str, doc("Name of the model that serves the task and is taught.")]
    strong: Annotated[str, doc("Name of the model that explains mistakes and writes rules.")]
    match: Annotated[Match, doc("How requests are recognised; without it a client names the task.")] = Match()
    serve: Annotated[
        Literal["weak", "strong", "shadow", "canary"],
        doc(
            "Which of the two answers. `shadow`: the strong one, and the weak one is asked in the background. `canary`:"
            " the strong one, and the weak one a growing share of the conversations."
        ),
    ] = "weak"
    fallback: Annotated[
        tuple[str, ...], doc("Models that are asked in turn, before the first byte, when that one cannot answer.")
    ] = ()
    grader: Annotated[Grader, doc("How a reply is compared with the expected answer.")] = ExactGrader()
    rollout: Annotated[Rollout, doc("How rule sets go live.")] = Rollout()
    shadow: Annotated[Shadow, doc("Comparison in the background.")] = Shadow()
    audit: Annotated[Audit, doc("The sample on which replies and rule sets are measured.")] = Audit()
    labels: Annotated[
        tuple[str, ...],
        doc("Answers that rules may name, however few conversations have them: the labels of the task."),
    ] = ()
    schedule: Annotated[str | None, doc("Cron expression of this task's cycles; default: `optimizer.schedule`.")] = None

    @property
    def shadow_share(self) -> float:
        """The share of requests that is also asked of the other model."""
        if self.shadow.share is not None:
            return self.shadow.share
        return 0.1 if self.serve in ("shadow", "canary") else 0.0


class Optimizer(Section, frozen=True):
    """When and how rules are learnt."""

    enabled: Annotated[bool, doc("Learn beside the gateway, in a process of its own; read at its start.")] = True
    schedule: Annotated[str, doc("Cron expression, five fields or six with seconds first.")] = "*/30 * * * *"
    sweep_s: Annotated[
        Positive, doc("Seconds between two looks at new traffic: signs of failure, shadows, roll-outs.")
    ] = 5.0
    hang_s: Annotated[
        Positive, doc("Seconds without a sign of life after which the process that learns is killed and started again.")
    ] = 10.0
    min_mistakes: Annotated[Count, doc("New mistakes that a scheduled cycle waits for.")] = 5
    max_items: Annotated[
        Count, doc("Graded exchanges that one cycle looks at: the newest, and some from the time before.")
    ] = 600
    max_share_per_tenant: Annotated[
        float,
        Meta(gt=0, le=1),
        doc(
            "Share of those that one end user may bring, where requests name them (`user`, `safety_identifier`,"
            " `metadata.user_id`); with too few users for that, each brings at most an equal share."
        ),
    ] = 0.25
    quote_conversations: Annotated[
        Count, doc("Conversations that must hold some words of their users before a rule may say them, at the least.")
    ] = 3
    max_rules: Annotated[Count, doc("Rules in a rule set.")] = 8
    selection_items: Annotated[Count, doc("Items on which candidates are ranked.")] = 40
    confirmation_items: Annotated[
        Count, doc("Items on which the chosen candidate is tested against the incumbent.")
    ] = 250
    objective: Annotated[
        Literal["better", "cheaper"],
        doc(
            "`better`: only a shown gain is published. `cheaper`: where there is none, also fewer of the active rules"
            " or a cheaper form of them, if a loss of more than `margin` is ruled out and fewer tokens are used."
        ),
    ] = "better"
    margin: Annotated[float, Meta(gt=0, lt=1), doc("Loss of accuracy (0..1) that still counts as non-inferior.")] = 0.05
    budget_calls: Annotated[Count, doc("Model calls that one cycle may pay for.")] = 5000
    budget_tokens: Annotated[Count, doc("Tokens (prompt and output, both models) that one cycle may pay for.")] = (
        5_000_000
    )
    concurrency: Annotated[Count, doc("Model calls under way at once.")] = 4
    max_output_tokens: Annotated[Count, doc("Output tokens that an evaluated reply may have.")] = 1024


class Settings(Section, frozen=True):
    """The whole configuration, cross-checked."""

    server: Server = Server()
    upstreams: dict[Name, UpstreamSettings] = field(default_factory=dict)
    models: dict[Name, Model] = field(default_factory=dict)
    tasks: dict[Name, Task] = field(default_factory=dict)
    keys: dict[Name, Key] = field(default_factory=dict)
    optimizer: Optimizer = Optimizer()
    injection: bool = True
    """``PRECEPTOR_INJECTION=off`` turns every rule set off."""
