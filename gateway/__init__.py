"""The serving plane: an OpenAI-compatible gateway that injects rule sets into a weak model's prompt.

Nine words carry the design; code, docs, logs and metrics use them in the same sense:

task        a kind of request, recognised from configuration or named by the client
exchange    one request with its reply, recorded; the reply's ``id`` is the exchange's id
weak        the cheap model that serves a task; **strong** is the model that teaches it
rule        one instruction that the strong model wrote for the weak one
rule set    an immutable, numbered version of a task: rules, form, solved examples, worksheet
form        the way in which the weak model works: at once, with a hidden scratchpad, with a worksheet
mistake     a failed exchange and the expected answer
verdict     the gate's decision about a candidate: better, non-inferior, worse, cannot tell
arm         a request's way to a model, pinned for the exchange: weak, canary, holdback, strong, ...

A request takes three hops: ``api.endpoint`` (HTTP) -> ``completion`` (passes of the model) -> ``upstream``
(the wire). Pure functions stand beside them: ``formats`` (each API's bytes), ``routing`` (task, arm, rules)
and ``forms`` (ways of working). This package never imports ``optimizer``; the optimizer plugs itself in
through the entry point group ``gateway.plugins``.
"""

__version__ = "0.1.0"
