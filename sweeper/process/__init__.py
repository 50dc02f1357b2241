"""What a process does with signals, and with output that may vanish."""
