"""A whole fleet on one computer: its broker, its server, and machines that are tied to them."""
