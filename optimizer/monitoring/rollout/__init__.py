"""How a verified rule set reaches callers, and what takes it off the air again.

``watch`` looks at a task and writes at most one decision; ``decide`` takes it, and is pure. Somebody looks all the
time, so everything that decides is valid at every moment it is looked at: ``evidence`` compares two ``arms`` and
bounds a proportion, ``comparison`` and ``labels`` carry what was counted from look to look (``memory``), ``drift``
notices that the live arm is worse than ``promise`` said. ``situation`` tells people.
"""
