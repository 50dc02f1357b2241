"""Training one network, epoch by epoch."""
