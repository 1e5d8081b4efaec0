"""Codecs: samples to the latents that the GAN is trained on, and back."""
