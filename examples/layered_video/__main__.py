"""Sparring's commands, with the plug-in: `python -m examples.layered_video sample runs/layered`."""

import sys

from sparring.cli import main

sys.exit(main())
