"""A browser, and pages of the explorer in it. Without Playwright or Chromium these tests are skipped."""

import contextlib
import shutil
import threading

import pytest


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("there is no Chromium")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=chromium)
        yield opened
        opened.close()


@pytest.fixture
def visit(browser):
    """visit(run, ...) -> a page that shows it, its samples drawn. At the end nothing may have gone wrong on any."""
    pytest.importorskip("fastapi")
    with contextlib.ExitStack() as stack:
        wrong = []

        def open_page(run, *, width=1280, height=900, language="en-GB", address="", **options):
            url = stack.enter_context(_serving(run)) + address
            context = browser.new_context(viewport={"width": width, "height": height}, locale=language, **options)
            stack.callback(context.close)
            page = context.new_page()
            page.on("console", lambda message: message.type in ("error", "warning") and wrong.append(message.text))
            page.on("pageerror", lambda error: wrong.append(str(error)))
            page.goto(url)
            page.locator("#wall .tile").first.wait_for()
            page.locator("#large > *").wait_for()
            return page

        yield open_page
        assert wrong == []


@contextlib.contextmanager
def _serving(run):
    from sparring.explorer.model import Model
    from sparring.explorer.serve import listen, make_server

    with listen(7801) as listening:
        server, address = make_server(Model(run, device="cpu"), listening)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield address
        finally:
            server.should_exit = True
            thread.join()
