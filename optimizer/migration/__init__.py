"""Can the weak model serve a task, and what does it save? The strong model, the weak one, and the weak one with rules,
side by side on examples that decided nothing.

``source``    where the examples come from: a data file, or what the strong model has answered in the log
``forecast``  what a run may cost and what it can show, before anything is spent
``money``     tokens as money: per call, per month, and when the one-time cost is earned back
``arms``      one model on the examples, and the comparison of two
``run``       the walk: distil on one part of the examples, compare on the part that is left
"""
