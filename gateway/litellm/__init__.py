"""Conversion of a LiteLLM proxy's configuration to a ``preceptor.toml``, for ``preceptor init``."""
