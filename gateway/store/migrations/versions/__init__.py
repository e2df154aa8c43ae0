"""One module per revision, named vNNNN_SUBJECT."""
