"""Data sets, and a reader for each file format; `sparring.open_dataset` chooses the reader."""

from sparring.data.dataset import DataError, Dataset
from sparring.data.synthetic import mode_coverage

__all__ = ["DataError", "Dataset", "mode_coverage"]
