"""Sandboxes: the only place for code written by a model.

``available`` knows the sandboxes of this machine, best first: ``monty``, then ``bubblewrap`` (``inside`` in namespaces,
under the filter of ``seccomp``). Code and tests run apart, with a line (``peer``) between them: the code can change
neither the tests (``suite``) nor the verdict. A sandbox must pass the ``battery`` before its first use in a process;
without a sandbox nothing is run. ``base`` holds the contract.
"""
