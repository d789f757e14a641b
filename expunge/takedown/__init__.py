"""Takedown requests: what they may say, where they lie, and how they go from pending to closed."""
