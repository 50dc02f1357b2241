"""How good a set of predictions is: plain arrays in, plain numbers out."""
