"""How the linear layers of both networks start."""

from torch import nn


# Glorot & Bengio 2010, eq. 16
def initialize(module: nn.Module) -> None:
    """Xavier-uniform weights and zero biases for all linear layers in a module."""
    for child in module.modules():
        if isinstance(child, nn.Linear):
            nn.init.xavier_uniform_(child.weight)
            if child.bias is not None:
                nn.init.zeros_(child.bias)
