"""sweeper: find the best small network for an image-classification data set, and be able to trust the answer."""
