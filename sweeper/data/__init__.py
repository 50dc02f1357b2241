"""Data sets: where their bytes come from, how they are read, and how the training set is split."""
