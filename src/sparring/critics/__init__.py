"""Critics: a discriminator on each view of the samples."""
