"""Factor worlds and the paired forget and retain prompts made from them."""
