"""The roll-out of verified rule sets: trial, promotion, roll-back.

``watch`` looks at a task and writes at most one decision; ``decide`` takes it, and is pure. Looks never end, so every
statistic is valid at each of them (``statistics.e_process``). ``arms`` pairs the arms of a comparison; ``comparison``
and ``labels`` carry the counts from look to look (``state``); ``cost_limits`` bounds latency and tokens by the evidence
of a version. ``status`` is for people.
"""
