"""Takedowns one after another, each on the model that the last one left, all targets measured after every one."""
