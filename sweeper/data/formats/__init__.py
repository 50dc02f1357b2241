"""File formats of data sets: bytes to arrays."""
