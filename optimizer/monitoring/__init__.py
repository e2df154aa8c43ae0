"""The live loop: every few seconds one process looks at the traffic of all gateways on a store.

Nothing here is on the way of a request. ``leader`` says which process it is; ``sweep`` is one look: ``observe`` what
was recorded, have a share of it compared (``shadow``), review every task's roll-out
(``rollout``). What is learnt goes into the store as feedback, so that a sweep that runs twice does nothing
twice, and a killed one is no loss.
"""
