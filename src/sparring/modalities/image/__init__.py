"""The modality of pictures."""
