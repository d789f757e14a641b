"""Signing what is released: keys, the signature of a model folder, certificates as signed in-toto statements."""
