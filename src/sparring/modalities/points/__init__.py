"""The modality of points in the plane."""
