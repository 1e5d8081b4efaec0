"""The Fréchet distance between two sets of features."""

import warnings

from torch import Tensor, nn


# Heusel et al. 2017, eq. 6: ||mu_1 - mu_2||^2 + Tr(C_1 + C_2 - 2 (C_1 C_2)^(1/2))
def frechet_distance(features: Tensor, reference: Tensor) -> float:
    """The distance of features (N, D) and (M, D), by torchmetrics; it is FID only with Inception's features."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torchmetrics.image.fid import FrechetInceptionDistance

        distance = FrechetInceptionDistance(feature=IdentityFeatures(features.shape[1])).set_dtype(
            features.double().dtype
        )
        distance.update(reference, real=True)
        distance.update(features, real=False)
        return float(distance.compute())


class IdentityFeatures(nn.Module):
    """A feature extractor for torchmetrics that returns its input."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, features: Tensor) -> Tensor:
        return features
