"""Initial weights of both networks."""

from torch import nn


# Glorot & Bengio 2010, eq. 16
def initialize(module: nn.Module) -> None:
    """Xavier-uniform weights and zero biases for all linear layers in a module."""
    for child in module.modules():
        if isinstance(child, nn.Linear):
            nn.init.xavier_uniform_(child.weight)
            if child.bias is not None:
                nn.init.zeros_(child.bias)


# He et al. 2015, eq. 14, for leaky rectifiers
def initialize_rectified(module: nn.Module, negative_slope: float) -> None:
    """Kaiming-normal weights and zero biases for all convolutions in a module: they preserve the mean square.

    With PyTorch's default a few convolutions shrink their input to a twentieth. The generator then starts with almost
    grey samples, and the discriminator wins.
    """
    for child in module.modules():
        if isinstance(child, nn.Conv1d | nn.Conv2d | nn.Conv3d):
            nn.init.kaiming_normal_(child.weight, negative_slope)
            if child.bias is not None:
                nn.init.zeros_(child.bias)


def parameter_count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())
