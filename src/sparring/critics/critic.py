"""A critic: a view, the discriminator on what it shows, and the weight of its losses."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from sparring.augment import Augmentation, Strengths
from sparring.critics.view import View
from sparring.models.attention import attention_backend
from sparring.models.discriminator import Discriminator
from sparring.penalties import exact_penalty, finite_difference_penalty


@dataclass
class Draw:
    """The randomness of one critic in one step, alike for real samples and fakes."""

    view: Any
    augmentation: Augmentation | None
    directions: Tensor
    """(2, K, *view.shape), standard normal: the finite differences of R1 and R2, of the first K that are seen."""


class Discriminated(NamedTuple):
    """Logits of real samples and fakes (B,), R1 and R2 of the first K of each (K,), without their weights."""

    logits_real: Tensor
    logits_fake: Tensor
    r1: Tensor
    r2: Tensor


class Penalty(NamedTuple):
    """How R1 and R2 are computed."""

    kind: Literal["finite-difference", "exact", "none"]
    epsilon: float = 0.01
    """Step of the finite difference, in units of the samples' [-1, 1]."""


class Critic(nn.Module):
    """One player against the generator. `weight` is that of its losses, `gamma` a factor on its R1 and R2.

    The discriminator sees each sample by itself (no batch normalisation): both networks learn from one pass of it.
    """

    def __init__(self, view: View, discriminator: Discriminator, *, weight: float = 1.0, gamma: float = 1.0) -> None:
        super().__init__()
        self.view, self.discriminator = view, discriminator
        self.weight, self.gamma = weight, gamma

    def forward(self, seen: Tensor, condition: Tensor) -> Tensor:
        """What the view shows (B, *view.shape), conditions (B, ...) -> logits (B,), float32."""
        logits: Tensor = self.discriminator(self.view.tokenizer.patchify(seen), condition)
        return logits

    def draw(self, augment: Strengths, count: int, penalized: int, generator: torch.Generator) -> Draw:
        """The draw for `count` samples, of which the first `penalized` are subject to R1 and R2."""
        view = self.view
        return Draw(
            view.draw(count, generator),
            Augmentation.draw(augment, count * view.crops, view.shape[1:], generator),
            torch.randn(2, penalized, *view.shape, generator=generator, device=generator.device),
        )

    def discriminate(
        self,
        real: Tensor,
        fake: Tensor,
        condition: Tensor,
        draw: Draw,
        logits_of: Callable[["Critic", Tensor, Tensor], Tensor],
        penalty: Penalty,
    ) -> Discriminated:
        """Compares what is seen of real samples and of fakes, both (B, *view.shape), under conditions (B, ...).

        `logits_of(critic, seen, condition)` calls the critic in the precision of the run.
        """
        count, augment = draw.directions.shape[1], draw.augmentation
        seen, conditions, near, subset = [real, fake], [condition, condition], list[Tensor](), None
        if penalty.kind == "finite-difference":
            firsts = torch.stack([real[:count], fake[:count].detach()])
            near, conditions = list(firsts + penalty.epsilon * draw.directions), conditions + 2 * [condition[:count]]
        if augment is not None:
            subset = augment.first(count)
            seen, near = [augment(x) for x in seen], [subset(x) for x in near]
        # One call for all: for small batches the discriminator's cost is mostly that of calling it.
        logits = logits_of(self, torch.cat(seen + near), torch.cat(conditions))
        logits_real, logits_fake, *logits_near = logits.split([len(x) for x in seen + near])
        if near:
            r1 = finite_difference_penalty(logits_real[:count], logits_near[0], penalty.epsilon)
            r2 = finite_difference_penalty(logits_fake[:count], logits_near[1], penalty.epsilon)
        elif penalty.kind == "exact":

            def critic(x: Tensor) -> Tensor:
                return logits_of(self, x if subset is None else subset(x), condition[:count])

            with attention_backend("math"):
                r1, r2 = (exact_penalty(critic, x[:count]) for x in (real, fake))
        else:
            r1 = r2 = logits.new_zeros(1)
        return Discriminated(logits_real, logits_fake, r1, r2)
