"""Moving in: a LiteLLM proxy's configuration becomes a ``preceptor.toml``. Only ``preceptor init`` comes here."""
