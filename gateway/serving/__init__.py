"""The serving processes: one, or several workers on one address under a supervisor."""
