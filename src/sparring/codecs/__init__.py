"""Codecs: they encode samples to latents, on which the GAN is trained, and decode latents to samples."""
