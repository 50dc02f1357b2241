"""What people see of a running sweep: a view on a terminal or in a notebook, and plain lines elsewhere."""
