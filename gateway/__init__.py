"""The serving plane: an OpenAI-compatible gateway that injects rule sets into a weak model's prompt.

Nine words carry the design; code, docs, logs and metrics use them in the same sense:

task        a kind of request, recognised from configuration or named by the client
exchange    one request with its reply, recorded; the reply's ``id`` is the exchange's id
weak        the cheap model that serves a task; **strong** is the model that teaches it
rule        one instruction that the strong model wrote for the weak one
rule set    an immutable, numbered list of rules with the form of the scratchpad, per task
scratchpad  room in which the weak model works before it replies; the caller never sees it
mistake     a failed exchange together with the answer that was expected
verdict     what the gate says of a candidate: better, non-inferior, worse, cannot tell
arm         which model a request was sent to and why; pinned for the exchange

A request takes three hops: ``api.endpoint`` (HTTP) -> ``completion`` (what to send, what to hand back)
-> ``upstream`` (the wire). ``pipeline`` holds the pure functions that those hops call. This package
never imports ``optimizer``; the optimizer plugs itself in through the entry point group
``gateway.plugins``.
"""

__version__ = "0.1.0"
