"""Metrics and statistics of predictions: plain arrays in, plain numbers out."""
