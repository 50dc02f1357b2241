"""Search spaces: what is searched, read from a space file and checked."""
