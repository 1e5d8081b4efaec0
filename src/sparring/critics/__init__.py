"""Critics: a view of the samples and a discriminator on it."""
