"""Pictures on a page."""

from sparring.modalities.page import Page


class ImagePage(Page):
    kind = "pictures"
    pipeline = "unconditional-image-generation"
