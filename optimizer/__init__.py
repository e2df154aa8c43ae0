"""The learning plane: it turns the mistakes of a weak model into rules, and tests every rule before it goes live.

This is Concept Distillation (Boateng et al., arXiv 2408.09365) with a sound decision at its end. A mistake takes these
steps on its way to a rule; ``distillation.cycle`` shows them on one screen:

1. A client or a person corrects a reply, or a grader calls it wrong. The store keeps exchange and feedback.
2. ``dataset`` turns recorded exchanges, or the lines of a data file, into items: a request with its expected answer. A
   hash splits them into three parts for good: **induction**, **selection**, **confirmation**.
3. ``distillation.induction`` shows groups of mistakes to the strong model. It explains them, then writes rules.
4. ``distillation.selection`` races candidates, sets of rules times forms of the scratchpad, on the selection items,
   then leaves out rules without an effect. The race only ranks.
5. ``distillation.confirmation`` puts the best candidate to the gate (``statistics.paired_test``): candidate and
   incumbent answer the confirmation items, and the paired test decides.
6. ``distillation.publish`` stores a numbered, immutable rule set with its evidence, and puts it on trial.
7. ``monitoring`` watches it beside the rules before: harm takes it off the air.

Every cycle ends with an ``Outcome`` and a note in plain words; "no rules helped" is one of them.

The rooms, from the lowest floor up; a room imports only from lower floors (pinned in ``pyproject.toml``):

prompts        the texts for the strong model and the judge
statistics     numbers only: the paired test, alpha spending, e-processes, drift, agreement of judges
grading        graders compare a reply with the expected answer; a sandbox runs code for them
dataset        items, their sampling, redaction, and the reading of recorded requests
evaluation     the only room with model calls: through a cache (nothing is paid twice) and a budget
distillation   the cycle above
migration      compares models for a task;  **monitoring**: signs of failure, the other model's answers, the roll-out
discovery      finds tasks in traffic without any;  **scheduling**: cycles and sweeps, in a process of their own
report         outcomes as HTML
demo           the whole loop on a small model;  **console**: pages for people, at ``/ui``
commands       the command line;  **plugin**: the entry point for the gateway

This package imports ``gateway``; the gateway never imports this package.
"""
