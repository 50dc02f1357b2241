"""Checks whether everything is fit for a search: machine, store, data and cluster."""
