"""Layered video, a plug-in: importing it registers the codec `layers`, the view `crops` and the metric `motion`."""

from . import crops, layers, motion

__all__ = ["crops", "layers", "motion"]
