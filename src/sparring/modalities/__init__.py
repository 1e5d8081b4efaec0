"""Kinds of samples: each in a folder of its own, with all that depends on what a sample is."""
