"""Find kinds of request without a task, and estimate the savings of a smaller model for each.

``request_features``  instructions, question and tools of a recorded request
``words``             a text as words, with values (names, numbers, documents) hidden
``partition``         the prompt templates behind many texts
``groups``            requests of one kind
``savings_estimate``  a group in money
``section``           a group as a section of the configuration

Everything here is pure: ``optimizer.commands.discover`` reads the store and writes files.
"""
