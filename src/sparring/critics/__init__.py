"""Critics: views of samples, and a discriminator on each."""
