"""The modality of series."""
