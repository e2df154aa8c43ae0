"""The live loop: every few seconds one process looks at the traffic of all gateways on a store.

Nothing here is on the way of a request. ``scheduling.leader`` elects the process; ``sweep`` is one look: ``observe``
new exchanges, grade new labels (``verdicts``), compare a share of the replies (``shadow``), review every task's
roll-out (``rollout``). Results go into the store as feedback: a repeated sweep changes nothing, and a killed sweep
loses nothing.
"""
