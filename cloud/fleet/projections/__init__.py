"""What the fleet knows of its machines, folded from records; can be made again at any time."""
