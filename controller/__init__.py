"""The brain: domain, journal, saga, state machine, and the ports that drivers implement."""
