"""A small convolutional classifier of the built-in digits, the feature extractor for their scores.

`scripts/train_digit_classifier.py` trained it on the 4,000 training digits. It is not Inception: distances in its
features are comparable only with each other.
"""

from importlib import resources

import torch
from safetensors.torch import load
from torch import Tensor, nn

NAME = "sparring-digits"
WEIGHTS = "digit_classifier.safetensors"
FEATURES = 64


class DigitClassifier(nn.Module):
    """Digits (B, 1, 28, 28) in [-1, 1] to features (B, 64) and class logits (B, 10)."""

    def __init__(self) -> None:
        super().__init__()

        def stage(inputs: int, outputs: int, stride: int) -> nn.Sequential:
            conv = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
            return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.SiLU())

        self.stages = nn.Sequential(
            stage(1, 16, 1), stage(16, 32, 2), stage(32, 32, 1), stage(32, 64, 2), stage(64, 64, 2)
        )
        self.features = nn.Sequential(nn.Flatten(), nn.Dropout(0.3), nn.Linear(64 * 4 * 4, FEATURES), nn.SiLU())
        self.classify = nn.Linear(FEATURES, 10)

    def forward(self, digits: Tensor) -> tuple[Tensor, Tensor]:
        features = self.features(self.stages(digits))
        return features, self.classify(features)


def load_digit_classifier() -> DigitClassifier:
    """The trained classifier, on the CPU, in evaluation mode."""
    stored = load(resources.files("sparring.metrics").joinpath(WEIGHTS).read_bytes())
    model = DigitClassifier()
    model.load_state_dict({name: value.to(model.state_dict()[name].dtype) for name, value in stored.items()})
    return model.eval().requires_grad_(False)


@torch.no_grad()
def recognise(model: DigitClassifier, digits: Tensor, batch_size: int = 500) -> tuple[Tensor, Tensor]:
    """Features (N, 64) and predicted classes (N,) of digits (N, 1, 28, 28)."""
    parts = [model(chunk.clamp(-1, 1)) for chunk in digits.float().cpu().split(batch_size)]
    return torch.cat([f for f, _ in parts]), torch.cat([logits for _, logits in parts]).argmax(1)
