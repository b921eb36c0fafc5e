"""``./run demo``: a simulated machine, a real vendd on it, and what happens to their customers."""
