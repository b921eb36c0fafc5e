"""What the machine sells and holds: pure values and rules, no I/O and no clock."""
