"""Scores of generated samples, each with the score of real samples. `sparring.modalities.metrics` selects them."""
