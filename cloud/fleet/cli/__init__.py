"""``vendcloud``: the fleet server, and its shell until there are pages."""
