"""The modality of video clips."""
