"""What tests do with a page in a browser."""

import time

WALL = "[...document.querySelectorAll('#wall canvas')].map(canvas => canvas.toDataURL()).join()"
LARGE = "document.querySelector('#large canvas').toDataURL()"
"""Pixels as text: of all samples of the wall, of the large one."""


def until(page, expression, holds, seconds=20):
    """The value of an expression in the page once it `holds`. Playwright's own way to wait needs eval there, which the
    page's policy forbids."""
    deadline = time.monotonic() + seconds
    while not holds(value := page.evaluate(expression)):
        assert time.monotonic() < deadline, f"{expression} is still {str(value)[:200]}"
        page.wait_for_timeout(30)
    return value


def changed(page, expression, before):
    return until(page, expression, lambda value: value != before)


def becomes(page, expression, wanted):
    until(page, expression, lambda value: value == wanted)


def move(page, selector, value):
    """Moves a slider as a hand does."""
    page.eval_on_selector(
        selector,
        "(slider, value) => { slider.value = value; for (const name of ['input', 'change']) "
        "slider.dispatchEvent(new Event(name, { bubbles: true })); }",
        value,
    )


def fits_the_width(page):
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
