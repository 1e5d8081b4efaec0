"""Trains a GAN of two bouncing digits in layers, or goes on where a run stopped, and prints the verdict.

python -m examples.layered_video.train --out runs/layered
"""

import argparse
import sys
from collections.abc import Sequence

import sparring
from sparring.progress import TrainingProgress
from sparring.training.run import Interrupted

from .preset import bouncing

FRAMES = 16


def main(words: Sequence[str] | None = None) -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m examples.layered_video.train",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--resolution", type=int, default=32, help="pixels a side: 16, 24, 32, ... (default: 32)")
    parser.add_argument("--seed", type=int, default=0, help="everything random follows from it")
    parser.add_argument("--out", default="runs/layered", help="the run's folder (default: runs/layered)")
    parser.add_argument("--num-samples", type=int, help="length of the run (default: 120,000 at 32×32)")
    arguments = parser.parse_args(words)
    side = arguments.resolution
    changes = {"data.resolution": side, "data.frames": FRAMES, "train.seed": arguments.seed}
    if arguments.num_samples is not None:
        changes["train.num_samples"] = arguments.num_samples
    try:
        config = bouncing(FRAMES, side, side).replace(changes)
        with TrainingProgress() as progress:
            verdict = sparring.train(config, arguments.out, report=progress.report, log=progress.log)
    except Interrupted as interruption:
        print(f"interrupted and saved; the same command goes on from here ({arguments.out})", file=sys.stderr)
        return 128 + interruption.signal
    except (sparring.ConfigError, sparring.DataError, sparring.CheckpointError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{verdict.text}\n{arguments.out}/samples.png  {arguments.out}/training.png  {arguments.out}/metrics.jsonl")
    return 0


if __name__ == "__main__":
    sys.exit(main())
