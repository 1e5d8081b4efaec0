"""Clips on a page."""

from sparring.modalities.page import Page


class VideoPage(Page):
    kind = "clips"
