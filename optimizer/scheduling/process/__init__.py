"""Learning beside serving: the optimizer of a running gateway is a process of its own.

A computation of some milliseconds is nothing to a cycle and much to a request. So the gateway (``parent``) starts a
process (``child``) for sweeps and cycles (``work``), and keeps the models. Messages go over one socket between them
(``messages``): the child asks models through the gateway's own upstreams (``parent_connection`` is its end, ``relay``
the gateway's). Limits, breakers and the embedded server are shared, callers come first, and the child gets no key of an
upstream. Rules travel through the store, as between any processes. The child gives a sign of life every second; the
parent kills a silent child and starts another.
"""
