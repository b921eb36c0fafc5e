"""The journal: every fact of the machine, written before it is acted upon."""
