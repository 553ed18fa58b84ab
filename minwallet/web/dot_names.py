"""Names of only dots in the path of an address, such as the player `..` of an older version.

Browsers and proxies remove the path segments `.` and `..`, also when they are percent-encoded. So such a name stands in
a path behind a tilde, which no name contains: the player `..` has the path `/players/~..`.
"""

import re
from collections.abc import Mapping

_ONLY_DOTS = re.compile(r"\.+")
_ESCAPED_DOTS = re.compile(r"~\.+")


def escape_dot_name(name: str) -> str:
    """Return the path segment of the name, before percent-encoding."""
    return f"~{name}" if _ONLY_DOTS.fullmatch(name) else name


def unescape_dot_names(path_params: Mapping[str, str]) -> dict[str, str]:
    """Return the parameters of a path, with names instead of their segments."""
    return {name: text[1:] if _ESCAPED_DOTS.fullmatch(text) else text for name, text in path_params.items()}
