"""The HTTP/1.1 server: listening sockets, connections, requests and responses. Knows no models and no tasks."""
