"""Readers of the file formats of data sets: from bytes to arrays."""
