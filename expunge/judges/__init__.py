"""Judges: classifiers, CLIP, and the panel that they make up."""
