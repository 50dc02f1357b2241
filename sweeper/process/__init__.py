"""What a process does with signals and with output that may vanish, and what it may use."""
