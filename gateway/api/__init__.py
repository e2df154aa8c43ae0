"""The HTTP API. Translates between HTTP and the other rooms; decides nothing."""
