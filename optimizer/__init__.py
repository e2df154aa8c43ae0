"""The learning plane: it turns the mistakes of a weak model into rules, and lets none go live that it has not tested.

This is Concept Distillation (Boateng et al., arXiv 2408.09365) with a sound decision at its end. A mistake on its way
to a rule passes these rooms, in this order; ``cycle`` is the walk on one screen:

items        examples with their expected answers, from a data file or from graded exchanges, split by hash into three
             parts that never mix: **induction**, **selection**, **confirmation**
induction/   ``sample`` collects the weak model's mistakes, and some successes for contrast; in ``induce`` the strong
             model explains them, then writes rules; ``parser`` finds them in its reply, ``lint`` throws out what no
             system prompt should hold, ``merge`` makes one list of them
selection/   ``candidate`` races sets of rules times forms of the scratchpad on the same items; ``ablation`` leaves out
             the winner's rules without an effect; ``standing`` puts everything that ran side by side
gate/        ``confirm`` puts one candidate to the paired test in ``accept``, on items that decided nothing before;
             scheduled tests share what ``levels`` allows, ``noise`` says what chance alone does
publish      a numbered, immutable rule set with its evidence

Every end of a cycle is an ``outcome`` with a note in plain words; "no rules helped" is one of them. ``records`` hold
the life of every rule on the way. ``trials/`` is the only room that calls models: through a cache, so that nothing is
paid for twice and a killed cycle resumes where it stopped, and a ledger, so that it stops at its budget. ``graders/``
compare what the caller would have received with what was expected, ``sandbox/`` runs code for them. ``migration/``
compares models for a task, ``report/`` draws what came of it.

Beside the running gateway, in a process of its own (``process/``), ``schedule`` lets two things happen side by side:
cycles (``learner``; ``triggers`` says when there is something to learn, ``intake`` what of the traffic, ``redact`` what
of its text) and sweeps (``live/``): signs of failure (``signals/``), the other model's answers (``shadow/``), and the
trial, the promotion and the roll-back of rule sets (``rollout/``). ``discovery/`` finds tasks in traffic that has none.

This package imports ``gateway``; the gateway never imports this package.
"""
