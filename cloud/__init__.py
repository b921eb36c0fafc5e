"""What joins a machine to its fleet: the contract, the machine side of the link, the server."""
