"""Points on a page, as pictures of one pixel."""

from sparring.modalities.image.page import ImagePage


class PointsPage(ImagePage):
    pass
