"""The examination of a candidate: the gate, its groups, the third arm, and the fate of a candidate without a verdict.

Three arms answer: the incumbent, the candidate, and after an adoption the candidate's form with neutral words. If the
rules add nothing to their form, and the form alone passes the gate as well, the form alone is published: it is cheaper.
The two hypotheses are tested in this order at one level, so nothing is adopted more often (Glimm, Maurer & Bretz,
Statistics in Medicine 29 (2010) 219). Publishes nothing.
"""

import math

import msgspec

from gateway.domain import RuleSet, Value
from gateway.settings import Grader, Optimizer
from optimizer.dataset.split import Split
from optimizer.distillation.audit_sample import sources_of
from optimizer.distillation.carried_test import CarriedTest, may_go_on
from optimizer.distillation.confirmation import confirm, judged, with_effects, with_groups
from optimizer.distillation.outcome import Tested
from optimizer.distillation.outside_answer import with_outside
from optimizer.distillation.plan import CyclePlan
from optimizer.distillation.tenant_check import one_tenant_only
from optimizer.evaluation.candidate_score import mean_tokens
from optimizer.evaluation.evaluator import Evaluator, ModelClient
from optimizer.statistics.paired_test import BOUNDARIES, Gate


class Examined(Value, frozen=True):
    """A test with its consequence: ``objection`` speaks against publishing, ``carried`` goes on in a later cycle."""

    tested: Tested
    objection: str = ""
    carried: CarriedTest | None = None


async def examine(
    plan: CyclePlan,
    parts: Split,
    candidate: RuleSet,
    *,
    evaluator: Evaluator,
    weak: ModelClient,
    grader: Grader,
    settings: Optimizer,
    economy: bool,
) -> Examined:
    """Put a candidate to the gate. With ``economy``, one as good as the incumbent for fewer tokens is enough.

    Raises the errors of ``confirm``.
    """
    carried = plan.carried
    gate = Gate(
        planned=len(parts.confirmation),
        margin=settings.margin,
        level=plan.stage_level,
        futility=not economy,
        begun=len(carried.items) if carried is not None else 0,
    )
    tested = await confirm(
        evaluator,
        weak,
        grader,
        gate,
        parts.confirmation,
        incumbent=plan.incumbent,
        candidate=candidate,
        past=carried.looks if carried is not None else (),
        labels=plan.labels or sources_of(parts.confirmation),
    )
    tested, harm = with_groups(tested, margin=settings.group_margin)
    tested, harm = with_outside(tested, harm, margin=settings.outside_margin)
    if tested.finding.verdict != "better":
        as_good = economy and tested.finding.verdict == "non-inferior" and _is_cheaper(tested)
        if as_good and not harm:
            return Examined(tested=tested)
        kept = None if economy else _carried(plan, tested)
        return Examined(tested=tested, objection=harm if as_good else tested.finding.note, carried=kept)
    if objection := one_tenant_only(tested.before, tested.after, plan.tenants) or harm:
        return Examined(tested=tested, objection=objection)
    tested = await with_effects(tested, evaluator, weak, grader, incumbent=plan.incumbent)
    return Examined(tested=_form_alone(tested, gate, plan, settings) or tested)


def _form_alone(tested: Tested, gate: Gate, plan: CyclePlan, settings: Optimizer) -> Tested | None:
    """The third arm in the candidate's place, if the rules add nothing to it and it passes the gate as well."""
    by_rules = next((effect for effect in tested.main_effects if effect.part == "rules"), None)
    if by_rules is None or by_rules.change > 0 or plan.carried is not None:
        return None
    bare = judged(
        gate,
        tested.before,
        tested.form_alone,
        candidate=RuleSet(task=plan.task, scratchpad=tested.candidate.scratchpad),
        last=tested.finding.look,
        labels=tested.labels,
    )
    if bare is None or bare.finding.verdict != "better":
        return None
    bare, harm = with_groups(bare, margin=settings.group_margin)
    bare, harm = with_outside(bare, harm, margin=settings.outside_margin)
    if harm or one_tenant_only(bare.before, bare.after, plan.tenants):
        return None
    note = f"{bare.finding.note}; the form alone: the rules add nothing to it ({by_rules.change:+.0%})"
    return msgspec.structs.replace(
        bare,
        finding=msgspec.structs.replace(bare.finding, note=note),
        claim=tested.claim,
        labels=tested.labels,
        main_effects=tested.main_effects,
    )


def _carried(plan: CyclePlan, tested: Tested) -> CarriedTest | None:
    """A promising candidate without a verdict, for a later cycle; ``None`` for any other."""
    finding, past = tested.finding, plan.carried
    undecided = finding.verdict in ("cannot tell", "non-inferior") and finding.look == len(BOUNDARIES)
    if plan.by != "cycle" or not undecided or not may_go_on(_last_z(tested), plan.stage):
        return None
    return CarriedTest(
        candidate=tested.candidate,
        incumbent=plan.incumbent.hash if plan.incumbent is not None else "",
        begun=past.begun if past is not None else plan.started,
        stage=plan.stage + 1,
        level=plan.level,
        items=tuple(trial.item for trial in tested.before),
        known=past.known if past is not None else tuple(item.id for item in plan.items),
        looks=tested.looks,
    )


def _last_z(tested: Tested) -> float:
    last = tested.looks[-1]
    return last.total / math.sqrt(last.squares) if last.squares else 0.0


def _is_cheaper(tested: Tested) -> bool:
    return mean_tokens(tested.after) < mean_tokens(tested.before)
