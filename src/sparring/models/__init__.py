"""Networks: attention, blocks, positions, the generator and the discriminator."""
