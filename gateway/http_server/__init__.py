"""The HTTP/1.1 server: sockets, connections, and the processes that share an address. Knows no models and no tasks."""
