"""Recording beside serving: the store's writer in a process of its own.

A thread that writes holds the interpreter for milliseconds, and every request under way waits. So a gateway encodes
each exchange once (``outbox``) and hands it over a socket (``messages``) to a process (``child``, started by
``parent``) with the store's ``writer``. The outbox keeps everything until the recorder calls it stored: a recorder
that dies is started again, and gets it again. Several workers share the recorder of their supervisor. It has no key of
an upstream, and ends when its last gateway is gone and everything is stored or in the spool.
"""
