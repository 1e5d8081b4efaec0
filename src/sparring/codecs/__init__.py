"""From data to the latents that the GAN works on, and back."""
