"""Induction: the strong model sees mistakes and writes rules; a parser, a lint and a merge take in its replies."""
