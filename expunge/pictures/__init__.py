"""Pictures: sets of them, how they are drawn, and the store of what was drawn."""
