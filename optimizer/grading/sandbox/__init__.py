"""Where code that a model wrote is run, and nowhere else.

``available`` knows the sandboxes of this machine, best first: ``monty``, then ``bubblewrap`` (which runs ``inside`` in
namespaces, under the filter of ``seccomp``). Before one is used in a process it must pass the ``battery``; where none
does, nothing is run. What a sandbox is given and what it says stands in ``base``.
"""
