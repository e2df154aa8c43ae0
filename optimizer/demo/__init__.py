"""``preceptor demo``: the whole loop on a local model, for people to watch. Nothing else depends on it."""
