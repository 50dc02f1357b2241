"""The data sets that sweeper knows by name: where their files are, and how they are read."""
