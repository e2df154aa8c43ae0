"""The history of the schema, run by ``SqlStore.open``. Each revision is frozen: it never imports ``schema``."""
