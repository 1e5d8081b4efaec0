"""Scores of a run's texts, of a language model of about the same size and training time, and of real texts.

    python benchmarks/texts.py runs/captions --data test.txt --minutes 20

The language model is a causal transformer. It is trained by maximum likelihood on the run's training texts (at most
10,000), with early stopping on a tenth of them or when the time is over, and sampled at several temperatures with a KV
cache. Prints a JSON line with the scores of `sparring evaluate` for each, then the texts a second of both.
"""

import argparse
import json
import math
import time

import torch
from torch import Tensor

import sparring
from sparring.data.text import read_texts
from sparring.data.vocabulary import END, UNKNOWN
from sparring.metrics.language_model import LanguageModel, perplexity
from sparring.metrics.texts import TextEvaluation, shuffled
from sparring.models.attention import KVCache
from sparring.pretrained import open_data_of

BATCH = 256


def train_for(model: LanguageModel, texts: Tensor, minutes: float, lr: float = 1e-3) -> float:
    """Trains with early stopping; returns the seconds used."""
    started, best, kept, worse = time.perf_counter(), math.inf, model.state_dict(), 0
    validation, training = texts[::10], texts[torch.arange(len(texts)) % 10 != 0]
    optimizer = torch.optim.AdamW(model.parameters(), lr, weight_decay=1e-2)
    while worse < 3 and time.perf_counter() - started < 60 * minutes:
        model.train()
        for chosen in torch.randperm(len(training)).split(64):
            optimizer.zero_grad()
            model.loss(training[chosen]).backward()
            optimizer.step()
        now = perplexity(model, validation)
        worse = 0 if now < best else worse + 1
        if now < best:
            best, kept = now, {name: value.clone() for name, value in model.state_dict().items()}
    model.load_state_dict(kept)
    model.eval()
    return time.perf_counter() - started


@torch.inference_mode()
def write(model: LanguageModel, count: int, length: int, temperature: float, random: torch.Generator) -> Tensor:
    """`count` texts (B, N), one symbol after the other."""
    written = torch.full((count, length), END)
    symbols, unfinished = written[:, :1], torch.ones(count, 1, dtype=torch.bool)
    caches = [KVCache() for _ in model.blocks]
    added, rotary = model.positions.added, model.positions.rotary
    for place in range(length):
        x = model.symbols(symbols) * model.symbols.embedding_dim**0.5 + added[place]
        for block, cache in zip(model.blocks, caches, strict=True):
            x = block(x, rotary[:, place : place + 1], cache)
        logits = (model.norm(x[:, -1]) @ model.symbols.weight.T).float() / temperature
        logits[:, UNKNOWN] = -torch.inf
        symbols = torch.multinomial(logits.softmax(-1), 1, generator=random).where(unfinished, END)
        written[:, place : place + 1] = symbols
        unfinished &= symbols != END
        if not unfinished.any():
            break
    return written


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("--data", help="reference texts; unset: the held-out ones")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--temperatures", type=float, nargs="*", default=[1.0, 0.8, 0.6])
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    gan = sparring.load(arguments.run, "cpu")
    data = open_data_of(gan)
    reference = None
    if arguments.data:
        reference = [text for text, _ in read_texts(arguments.data)]
    evaluation = TextEvaluation(data, reference=reference, seed=arguments.seed)
    count, length = len(evaluation.training), evaluation.training.shape[1]

    def show(name: str, scores: dict[str, float]) -> None:
        print(json.dumps({"texts": name} | {key: round(value, 4) for key, value in scores.items()}), flush=True)

    show("real", evaluation.floor())
    show("shuffled", evaluation.scores(shuffled(evaluation.training, arguments.seed)))
    show("samples", evaluation(gan.sample(count, seed=arguments.seed)))
    show("samples, reject 0.5", evaluation(gan.sample(count, seed=arguments.seed, reject=0.5)))
    with torch.inference_mode():
        latents = torch.randn(count, *gan.codec.latent_shape, generator=torch.Generator().manual_seed(arguments.seed))
        drawn = torch.cat([gan.codec.decode(part) for part in latents.split(BATCH)])
    show("random latents", evaluation(evaluation.vocabulary.decode(drawn)))
    torch.manual_seed(arguments.seed)
    generating = sum(p.numel() for p in [*gan.generator.parameters(), *gan.codec.parameters()])
    model = LanguageModel(length, len(evaluation.vocabulary), width=128, depth=4)
    seconds = train_for(model, evaluation.training, arguments.minutes)
    sizes = {"gan_parameters": generating, "model_parameters": sum(p.numel() for p in model.parameters())}
    print(json.dumps({"trained_seconds": seconds, **sizes}), flush=True)
    for temperature in arguments.temperatures:
        random = torch.Generator().manual_seed(arguments.seed)
        parts = [write(model, BATCH, length, temperature, random) for _ in range(math.ceil(count / BATCH))]
        show(
            f"language model, temperature {temperature}",
            evaluation(evaluation.vocabulary.decode(torch.cat(parts)[:count])),
        )
    rates: dict[str, list[float]] = {"gan": [], "model": []}
    for repeat in range(5):  # in turns: the machine's load then affects both
        started = time.perf_counter()
        gan.sample(BATCH, seed=repeat)
        rates["gan"].append(BATCH / (time.perf_counter() - started))
        started = time.perf_counter()
        evaluation.vocabulary.decode(write(model, BATCH, length, 1.0, torch.Generator().manual_seed(repeat)))
        rates["model"].append(BATCH / (time.perf_counter() - started))
    print(json.dumps({f"{name}_texts_a_second": sorted(found)[2] for name, found in rates.items()}))


if __name__ == "__main__":
    main()
