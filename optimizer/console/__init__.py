"""The console ``/ui``: pages about tasks, versions and exchanges, for people, with their decisions.

``site`` checks session, role and form of a request, and calls a page on a thread. The page reads the store, and returns
a template with its values. It computes no statistics: the learner noted them.
"""
