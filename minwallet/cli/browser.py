"""Opens a page in the browser of whoever sits at the terminal."""

import sys
import webbrowser


def open_page(url: str) -> None:
    """Open the page, where a person is at a terminal and has a browser with windows. Any other would take the terminal
    over, in which the command goes on.
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
    """Whether it runs beside the terminal. The standard library starts text browsers, and whatever it does not know, in
    the foreground.
    """
    if isinstance(browser, webbrowser.GenericBrowser):
        return isinstance(browser, webbrowser.BackgroundBrowser)
    return bool(getattr(browser, "background", True))
