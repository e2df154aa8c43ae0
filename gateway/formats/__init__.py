"""Wire formats of requests and replies: pure functions over bytes and structs, without any I/O."""
