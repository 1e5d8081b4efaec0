"""The modality of images."""
