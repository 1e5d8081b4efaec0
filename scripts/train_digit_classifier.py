"""Trains the classifier behind the digits' numbers: `python scripts/train_digit_classifier.py` (2 CPU minutes).

Only the 4,000 training digits are used; the 1,000 held-out ones measure it. Prints its accuracy on those.
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

import sparring.metrics
from sparring.metrics.digit_classifier import WEIGHTS, DigitClassifier, recognise
from sparring.modalities.registry import open_dataset

EPOCHS, BATCH, LR = 40, 128, 4e-3


def distort(digits: Tensor) -> Tensor:
    """Random rotation, scale, shear and shift."""
    count = len(digits)
    angle, scale, shear = 0.5 * centred(count), 1 + 0.3 * centred(count), 0.3 * centred(count)
    shift = 0.2 * centred(2, count)
    rows = [angle.cos() / scale, shear - angle.sin(), shift[0], angle.sin(), angle.cos() / scale, shift[1]]
    grid = F.affine_grid(torch.stack(rows, 1).view(count, 2, 3), list(digits.shape), align_corners=False)
    return F.grid_sample(digits + 1, grid, align_corners=False) - 1


def centred(*shape: int) -> Tensor:
    return torch.rand(shape) - 0.5


def main() -> None:
    torch.manual_seed(0)
    train = open_dataset("digits")
    held_out = train.held_out
    assert held_out is not None
    model = DigitClassifier()
    optimizer = torch.optim.AdamW(model.parameters(), LR, weight_decay=1e-2)
    steps = EPOCHS * len(train) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LR, total_steps=steps)
    for _ in range(steps):
        digits, classes = train.batch(torch.randint(len(train), (BATCH,)))
        loss = F.cross_entropy(model(distort(digits))[1], classes, label_smoothing=0.05)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    stored = {name: v.half() if v.is_floating_point() else v for name, v in model.state_dict().items()}
    save_file(stored, Path(sparring.metrics.__path__[0]) / WEIGHTS)
    digits, classes = held_out.batch(torch.arange(len(held_out)))
    accuracy = (recognise(model.eval(), digits)[1] == classes).float().mean().item()
    print(f"accuracy on {len(held_out)} held-out digits: {accuracy:.4f}")


if __name__ == "__main__":
    main()
