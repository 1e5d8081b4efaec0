"""The modality of clips."""
