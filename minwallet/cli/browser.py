"""The web browser of the user at the terminal."""

import sys
import webbrowser


def open_page(url: str) -> None:
    """Open the page in a graphical browser. Do nothing without a terminal or such a browser.

    A text browser would take over the terminal in which the command continues.
    """
    if sys.stdout is None or not sys.stdout.isatty():
        return
    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        return
    if _has_windows(browser):
        browser.open(url)


def _has_windows(browser: webbrowser.BaseBrowser) -> bool:
    """Return True if the browser has windows of its own.

    The standard library runs text browsers, and all browsers that it does not know, in the foreground.
    """
    if isinstance(browser, webbrowser.GenericBrowser):
        return isinstance(browser, webbrowser.BackgroundBrowser)
    return bool(getattr(browser, "background", True))
