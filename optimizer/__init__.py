"""The learning plane: it turns the mistakes of a weak model into rules, and lets none go live that it has not tested.

This is Concept Distillation (Boateng et al., arXiv 2408.09365) with a sound decision at its end. A mistake on its way
to a rule passes these modules, in this order:

items      examples with their expected answers, from a data file or from graded exchanges, split by hash into three
           parts that never mix: **induction**, **selection**, **confirmation**
sample     the weak model's mistakes, and some successes for contrast, on the induction items
induce     the strong model explains the mistakes, then writes rules (``prompts``, ``structured``); ``parser`` finds
           them in its reply, ``lint`` throws out what no system prompt should hold, ``merge`` makes one list of them
candidate  sets of rules times forms of the scratchpad, raced against each other on the selection items; ``ablation``
           leaves out the winner's rules without an effect; ``standing`` puts everything that ran side by side
confirm    one candidate against the incumbent, on items that decided nothing before, until the gate in ``accept``
           finds; scheduled tests share what ``levels`` allows, ``noise`` says what chance alone does
publish    a numbered, immutable rule set with its evidence

``cycle`` is that walk on one screen, and every end of it is an ``outcome`` with a note in plain words; "no rules
helped" is one of them. ``records`` hold the life of every rule on the way. ``evaluate`` is the only module that calls
models: through a cache (``evaluations``), so that nothing is paid for twice and a killed cycle resumes where it
stopped, and a ``ledger``, so that it stops at its budget. ``graders`` compare what the caller would have received with
what was expected.

This package imports ``gateway``; the gateway never imports this package.
"""
