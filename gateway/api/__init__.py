"""The HTTP surface. Handlers translate between HTTP and the rest; they decide nothing."""
