"""Taking journals in: each record once, in a dense sequence, acknowledged after the commit."""
