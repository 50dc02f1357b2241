"""Networks of every family, from their configuration."""
