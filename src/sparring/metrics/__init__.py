"""Scores of samples, each beside what real ones get. `sparring.modalities.measuring` chooses among them."""
