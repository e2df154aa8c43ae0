"""Compare the strong model, the weak model, and the weak model with rules on untouched examples: quality and savings.

``source``    the examples: a data file, or the strong model's answers in the log
``forecast``  cost and resolution of a run, before anything is spent
``money``     tokens as money: per call, per month, and the time until a one-time cost is earned back
``arms``      the result of one model on the examples, and the comparison of two
``run``       the walk: distil on one part of the examples, compare on the rest
"""
