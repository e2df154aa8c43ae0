"""The console ``/ui``: pages about tasks, versions and exchanges, for people, with their decisions.

``site`` takes a request, checks session, role and form, and calls a page on a thread: each page reads the store and
returns a template with its values. Pages hold no statistics of their own: they show what the learner noted.
"""
