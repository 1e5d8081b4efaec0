"""The modality of texts."""
