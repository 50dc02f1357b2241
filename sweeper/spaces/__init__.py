"""Search spaces: the parameters to search and the variants, read from a space file and checked."""
