"""Learning beside those who are served: the optimizer of a running gateway is a process of its own.

A step of a cycle that takes the interpreter for some milliseconds is nothing to a cycle and a lot to a request. So the
gateway (``parent``) starts a process (``child``) that sweeps and learns, and keeps what a request needs: the models.
Over one line between them (``messages``) the child (``work``) asks the models through the gateway's own upstreams
(``line`` is its end, ``asked`` the gateway's): limits, breakers and the embedded server are shared, callers come first,
and no key of an upstream is told. Rules travel through the store, as they do between any processes.
"""
