"""The local API: JSON-RPC 2.0 lines on a unix socket, for technicians and their tool."""
