"""How the layers of both networks start."""

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
def initialize_rectified(module: nn.Module, slope: float) -> None:
    """Normal weights that keep the mean square through convolutions with leaky rectifiers between, and zero biases.

    With PyTorch's own a few convolutions leave a twentieth of what passes: the generator starts all but grey, and the
    discriminator outruns it.
    """
    for child in module.modules():
        if isinstance(child, nn.Conv1d | nn.Conv2d | nn.Conv3d):
            nn.init.kaiming_normal_(child.weight, slope)
            if child.bias is not None:
                nn.init.zeros_(child.bias)


def parameter_count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())
