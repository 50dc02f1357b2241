"""What a data set holds and what it cannot carry: statistics, exact duplicates, advice before a search."""
