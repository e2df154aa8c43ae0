"""Examples and recorded requests: read, redacted, sampled, and split into parts that never mix."""
