"""Pure functions over bytes and structs: everything that is decided about a request without touching the world."""
