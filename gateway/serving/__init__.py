"""The processes that serve: one, or several on one address under a supervisor."""
