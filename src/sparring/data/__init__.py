"""Data sets and the readers that make them, each for the files that it knows. `sparring.open_dataset` chooses among
them."""

from sparring.data.dataset import DataError, Dataset
from sparring.data.synthetic import mode_coverage

__all__ = ["DataError", "Dataset", "mode_coverage"]
