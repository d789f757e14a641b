"""Unlearning methods side by side: the same targets, data, budget and evaluation for all of them."""
