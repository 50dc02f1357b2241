"""Networks of every family, built from their configuration."""
