"""Which kinds of request come in that no task is configured for, and what moving one to a smaller model would save.

``shape`` reads what of a request tells its kind, ``words`` hides what differs from request to request, ``partition``
finds the prompts behind the texts, ``groups`` puts them together, ``worth`` says it in money, ``section`` writes a
task's configuration. All of it is pure: the store is read and files are written by ``optimizer.commands.discover``.
"""
