"""The modalities: one folder for each, with all code that depends on the kind of sample."""
