"""A critic: a view, a discriminator on it, and the weights of its losses."""

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
    """The random choices of one critic in one step, shared by real samples and fakes."""

    view: Any
    augmentation: Augmentation | None
    directions: Tensor
    """(2, K, *view.shape), standard normal: finite-difference directions of R1 and R2 for the first K views."""


class Discriminated(NamedTuple):
    """Logits of real samples and fakes (B,), and R1 and R2 of the first K of each (K,), unweighted."""

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
    """One opponent of the generator. `weight` scales its losses, `gamma` its R1 and R2.

    The discriminator processes each sample independently (no batch normalisation), so that one forward pass serves both
    players' losses.
    """

    def __init__(self, view: View, discriminator: Discriminator, *, weight: float = 1.0, gamma: float = 1.0) -> None:
        super().__init__()
        self.view, self.discriminator = view, discriminator
        self.weight, self.gamma = weight, gamma

    def forward(self, views: Tensor, condition: Tensor) -> Tensor:
        """Views (B, *view.shape), conditions (B, ...) -> logits (B,), float32."""
        logits: Tensor = self.discriminator(self.view.tokenizer.patchify(views), condition)
        return logits

    def score(self, samples: Tensor, condition: Tensor) -> Tensor:
        """Samples (B, *sample_shape), conditions (B, ...) -> logits (B,), the mean over a sample's crops."""
        crops = self.view.crops
        logits: Tensor = self(self.view(samples), condition.repeat_interleave(crops, 0))
        return logits.unflatten(0, (-1, crops)).mean(1)

    def draw(self, augment: Strengths, count: int, penalized: int, generator: torch.Generator) -> Draw:
        """The draw for `count` samples; R1 and R2 apply to the first `penalized`."""
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
        """Logits and penalties of views of real samples and of fakes, both (B, *view.shape), with conditions (B, ...).

        `logits_of(critic, views, condition)` calls the critic in the precision of the run.
        """
        count, augment = draw.directions.shape[1], draw.augmentation
        views, conditions, perturbed, subset = [real, fake], [condition, condition], list[Tensor](), None
        if penalty.kind == "finite-difference":
            penalized = torch.stack([real[:count], fake[:count].detach()])
            perturbed = list(penalized + penalty.epsilon * draw.directions)
            conditions = conditions + 2 * [condition[:count]]
        if augment is not None:
            subset = augment.first(count)
            views, perturbed = [augment(x) for x in views], [subset(x) for x in perturbed]
        # A single call, as its overhead dominates for small batches.
        logits = logits_of(self, torch.cat(views + perturbed), torch.cat(conditions))
        logits_real, logits_fake, *logits_perturbed = logits.split([len(x) for x in views + perturbed])
        if perturbed:
            r1 = finite_difference_penalty(logits_real[:count], logits_perturbed[0], penalty.epsilon)
            r2 = finite_difference_penalty(logits_fake[:count], logits_perturbed[1], penalty.epsilon)
        elif penalty.kind == "exact":

            def critic(x: Tensor) -> Tensor:
                return logits_of(self, x if subset is None else subset(x), condition[:count])

            with attention_backend("math"):
                r1, r2 = (exact_penalty(critic, x[:count]) for x in (real, fake))
        else:
            r1 = r2 = logits.new_zeros(1)
        return Discriminated(logits_real, logits_fake, r1, r2)
