"""The modality of time series."""
