"""The values of the whole project: frozen, without I/O, without behaviour beyond derivation.

Nothing here reads a clock, a random source or the environment; the builder of a value passes them in.
"""

import hashlib
from typing import Any, Literal

import msgspec

from gateway.expected import judged
from gateway.proof import GroupResult, LabelSources, MainEffect, OutsideChange, PartSource, PromisedGain
from gateway.teaching import Example, ExamplesMode, Worksheet, hashed_parts

Scratchpad = Literal["none", "tags", "two_pass"]
"""How the weak model may work before it replies: not at all, between tags in the same reply, or in a first pass."""

Arm = Literal["weak", "strong", "canary", "holdback", "shadow", "fallback", "direct"]
"""The model and rules behind a reply. ``weak``: the weak model with the live rule set. ``strong``: the strong model.
``canary``: the weak model with a rule set on trial. ``holdback``: the weak model without rules, for comparison.
``shadow``: a model in the background, for the optimizer alone. ``fallback``: a model in place of a failed one.
``direct``: the model of a request without a task."""

Status = Literal["ok", "error", "abandoned"]
"""How an exchange ended: a complete reply, an error, or a client that hung up."""

Source = Literal["label", "client", "shadow", "outcome"]
"""The origin of feedback.

``label``: an answer to the label queue, asked for whatever the outcome was. ``client``: a client, of its own accord.
``shadow``: the task's grader, by another model's answer to the same request. ``outcome``: a cheap look at the reply."""

SOURCES: tuple[Source, ...] = ("label", "client", "shadow", "outcome")
"""Every source, in the order of precedence."""

Decision = Literal["live", "canary", "share", "holdback", "hold", "audit", "redaction", "injection"]
"""The subject of an entry in a task's history; see ``Activation``."""

ALL_TASKS = "*"
"""Stands for every task where a decision is about all of them."""

VerdictName = Literal["better", "non-inferior", "worse", "cannot tell"]

RuleStatus = Literal["refused", "known", "merged", "surplus", "proposed", "tried", "dropped", "kept"]
"""What became of a rule that a strong model wrote: refused by the lint; in the incumbent already; merged into one that
says the same; more than a rule set may hold; never tried, because the cycle ended before; tried and not in the
candidate; in the candidate until it was left out without a loss; in the candidate that was put to the gate."""


class Value(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=False):
    """Base of every domain value."""


class Usage(Value, frozen=True):
    """Tokens as the upstream counted them; the passes of a form are added up."""

    prompt_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    """Prompt tokens from the upstream's cache; not kept in the store."""
    reasoning_tokens: int = 0
    """Output tokens of hidden reasoning; not kept in the store."""
    written_tokens: int = 0
    """Prompt tokens written to the upstream's cache, where that has a price of its own; not kept in the store."""

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            reasoning_tokens=self.reasoning_tokens + other.reasoning_tokens,
            written_tokens=self.written_tokens + other.written_tokens,
        )


NO_USAGE = Usage()


class ToolCall(Value, frozen=True):
    """A call of a tool, asked for by a reply."""

    name: str
    arguments: str
    """As the model wrote them: JSON text, or what was meant to be that."""


class Rule(Value, frozen=True):
    """One instruction for the weak model, and why the strong model wrote it."""

    text: str
    reason: str = ""
    when: str = ""
    """A condition in CEL over ``text`` (the question) and the worksheet's fields; empty: every request gets the rule.

    Example: ``text.contains("refund")``.
    """

    @property
    def id(self) -> str:
        """The first 12 hex digits of SHA-256 over text and condition: equal rules have an equal id in every cycle."""
        content = f"{self.when}\n{self.text}" if self.when else self.text
        return hashlib.sha256(content.encode()).hexdigest()[:12]


class Effect(Value, frozen=True):
    """The measured change by a rule on items that only rank. It explains a choice and promises callers nothing."""

    change: float
    """Accuracy with the rule less accuracy without it, on the same items."""
    interval: tuple[float, float]
    """95% interval of the change."""
    tokens: float
    """Tokens per reply, prompt and output, with the rule less those without it."""
    items: int
    against: Literal["the set without it", "the incumbent"]
    """A rule of a larger set is left out of it; a rule that stands alone is compared with the incumbent."""


class RuleRecord(Value, frozen=True):
    """The life of a rule in a cycle."""

    id: str
    text: str
    reason: str
    status: RuleStatus
    why: str = ""
    """The reason of the status, in plain words."""
    mistakes: tuple[str, ...] = ()
    """Ids of the items with the mistakes from which it was written; empty for an incumbent's rule."""
    groups: int = 0
    """Groups of mistakes whose explanations ended in this rule or one that says the same."""
    tokens: int = 0
    """What it adds to every prompt: an estimate, one token for four bytes."""
    effect: Effect | None = None
    """``None`` where it was not measured by itself."""
    when: str = ""
    """The condition of the rule."""


class Measured(Value, frozen=True):
    """The score of an arm on ``n`` items: accuracy in 0..1, means per item for the rest."""

    accuracy: float
    n: int
    output_tokens: float = 0.0
    latency_s: float = 0.0
    ungraded: int = 0
    """Replies among them on which the grader could not say; they count as wrong."""
    score: float | None = None
    """Mean score (0..1) of graders that know more than right and wrong; ``None`` where it was not recorded."""


class Evidence(Value, frozen=True):
    """The reason for publishing a rule set: the gate's verdict on items that decided nothing before."""

    verdict: VerdictName
    before: Measured
    after: Measured
    fixed: int
    broken: int
    items_used: int
    p_value: float
    interval: tuple[float, float]
    """95% interval of the change in accuracy, ``after - before``."""
    against: int | None = None
    """Version of the incumbent that it was compared with; ``None`` for no rules."""
    note: str = ""
    rules: tuple[RuleRecord, ...] = ()
    """Where each rule came from and what it changed; empty where nobody measured."""
    clusters: int = 0
    """Independent units among the items; 0 in older evidence."""
    promised: PromisedGain | None = None
    """The gain to expect: ``interval`` and the accuracies are the raw numbers."""
    claim: str = ""
    """The meaning of *right* in these numbers, such as ``right by people's labels`` or ``agreement with gpt-4o``."""
    labels: LabelSources | None = None
    main_effects: tuple[MainEffect, ...] = ()
    groups: tuple[GroupResult, ...] = ()
    outside: tuple[OutsideChange, ...] = ()
    """New links, words and the like outside the graded answer."""
    sources: tuple[PartSource, ...] = ()
    """The exchanges behind each rule and each line of a decision list; examples name theirs themselves."""


class RuleSet(Value, frozen=True):
    """An immutable, numbered version of the teaching for a task: rules, examples, a worksheet and the form.

    The gate verifies all of its parts together. ``version`` 0 marks a candidate, not yet published.
    """

    task: str
    version: int = 0
    scratchpad: Scratchpad = "none"
    rules: tuple[Rule, ...] = ()
    parent: int | None = None
    evidence: Evidence | None = None
    created: float = 0.0
    """Seconds since the epoch."""
    decided_by: str = ""
    """The command or loop that published it: ``cycle``, ``distill``, ``import``."""
    examples: tuple[Example, ...] = ()
    examples_mode: ExamplesMode = "nearest"
    nearest: int = 4
    """Examples that a request gets in the mode ``nearest``."""
    worksheet: Worksheet | None = None

    def seen_by(self, key: str | None, tenant: str | None) -> "RuleSet":
        """Return the rule set as a tenant sees it: with the visible examples only, and without their owners."""
        visible = tuple(example.shared_copy() for example in self.examples if example.visible_to(key, tenant))
        return msgspec.structs.replace(self, examples=visible)

    @property
    def hash(self) -> str:
        """SHA-256 over the content for the model, 64 hex digits. Provenance and evidence are left out."""
        content: list[Any] = [self.task, self.scratchpad, [rule.text for rule in self.rules]]
        if parts := hashed_parts([rule.when for rule in self.rules], self):
            content.append(parts)
        return hashlib.sha256(msgspec.json.encode(content)).hexdigest()


class Exchange(Value, frozen=True):
    """One request with its reply, as recorded."""

    id: str
    created: float
    """Seconds since the epoch, when the request arrived."""
    task: str | None
    client_model: str
    """The model that the client asked for."""
    model: str
    """The configured model that answered, or the client's own name when it passed through."""
    arm: Arm
    rules: int | None
    """Version of the rule set that was injected."""
    stream: bool
    status: Status
    http_status: int
    error: str | None = None
    request: bytes = b"{}"
    """The client's body, a JSON object, before injection."""
    reply: str | None = None
    """The text that the caller received."""
    finish_reason: str | None = None
    usage: Usage = Usage()
    latency_ms: float = 0.0
    first_byte_ms: float | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    key: str | None = None
    """Name of the key that the client showed; ``None`` where nobody is asked for one."""
    ref: str | None = None
    """The client's own name for the request (``x-client-request-id``)."""
    tenant: str | None = None
    """A hash of the client's name for its end user (``routing.conversation``); ``None`` if it names nobody."""
    cluster: str | None = None
    """A hash of the conversation's key (``routing.conversation``): exchanges with equal clusters depend on each other.

    ``None`` for a request that is no conversation, and for one that is kept out of learning."""
    cost_usd: float | None = None
    """By the configured price of ``model``; ``None`` where it has none."""
    audit_rate: float = 0.0
    """Probability (0..1) with which the exchange was drawn into its task's audit sample, before its outcome could be
    known; 0: it was not drawn."""


class Feedback(Value, frozen=True):
    """A judgement of a reply. At least one of ``correct``, ``score`` and ``expected`` is given.

    Of several for one exchange the source with the highest precedence counts (``SOURCES``); then the newest.
    """

    exchange_id: str
    created: float
    correct: bool | None = None
    score: float | None = None
    """0..1"""
    expected: Any = None
    comment: str | None = None
    source: Source = "client"
    key: str | None = None
    """Name of the key that sent it; ``None`` where nobody is asked for one."""
    labeller: str = ""
    """Name of the person or model that judged; ``queue`` for the label queue without a name."""
    verdict: float | None = None
    """0..1: the task's grader applied to the recorded reply and ``expected``."""
    verdict_at: float | None = None
    """Time of the grading, in seconds since the epoch; without a verdict: the grader could not say."""

    @property
    def is_correct(self) -> bool | None:
        """The judgement as yes or no: ``correct``, else ``score``, else ``verdict``, each from one half up."""
        return judged(self.correct, self.score, self.verdict)

    @property
    def is_contradictory(self) -> bool:
        """True if ``correct`` and the grader's verdict on ``expected`` disagree about the recorded reply."""
        return self.correct is not None and self.verdict is not None and self.correct != (self.verdict >= 0.5)


class Activation(Value, frozen=True):
    """An entry of a task's history: a decision about its rule sets, its time, its author and its reason.

    ``live``: ``version`` (``None``: no rules) serves from now on, and a trial before it is over.
    ``canary``: ``version`` is on trial with ``share`` of the weak model's conversations; 0 ends the trial.
    ``share``: if both models serve a task, the weak one gets ``share`` of the conversations.
    ``holdback``: ``share`` of the weak model's conversations gets no rules; 0: as configured.
    ``hold``: with a share of 1 the trial under way keeps its share, with 0 it goes on.
    ``audit``: ``share`` of the exchanges is drawn into the audit sample, where the configuration names no share.
    ``redaction``: examples of deleted exchanges were taken out of ``version``.
    ``injection``: with a share of 0 no rule set of any task (``ALL_TASKS``) is injected, with 1 they are again.
    """

    task: str
    version: int | None
    created: float
    by: str
    why: str = ""
    kind: Decision = "live"
    share: float = 1.0
    """0..1"""


class TrafficSplit(Value, frozen=True):
    """The present state of a task's rule sets, by its history."""

    live: RuleSet | None = None
    canary: RuleSet | None = None
    """The rule set on trial."""
    canary_share: float = 0.0
    weak_share: float | None = None
    """The weak model's share where both serve; ``None`` if nobody decided."""
    holdback: float | None = None
    """Share of the weak model's conversations without rules; ``None``: as configured."""
    audit_rate: float | None = None
    """Share of the exchanges that is drawn into the audit sample; ``None`` if nobody decided."""


class CycleRecord(Value, frozen=True):
    """A run of the optimizer on a task: its plan and, once ended, its outcome."""

    id: int
    task: str
    started: float
    plan: bytes
    """JSON that the optimizer needs to resume the run."""
    ended: float | None = None
    outcome: bytes | None = None
    """JSON object, at least ``verdict`` and ``note``."""
