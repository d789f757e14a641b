"""Unlearning methods side by side, and takedowns in sequence: same targets, data, budget and evaluator for all rows.

What a row has of its own (retain loss, pace, a measured learning rate, and so another stopping rule) its table says.
"""
