"""The files that `minwallet protocol new` writes: a package with one protocol, which works as it is.

`template/` holds them as the protocol pico, which docs/third-protocol.md explains. Another name replaces that one.
"""

import re
from collections.abc import Mapping
from pathlib import Path

TEMPLATE = Path(__file__).with_name("template")

TEMPLATE_NAME = "pico"


def render_package(name: str) -> Mapping[str, str]:
    """Return the files of a package with a protocol of this name: their names, with their text."""
    # The name of a Python module has "_" for "-", and that of a class has neither.
    module, capitalized = name.replace("-", "_"), "".join(word.capitalize() for word in name.split("-"))
    replacements = {
        f"minwallet_{TEMPLATE_NAME}": f"minwallet_{module}",
        f"test_{TEMPLATE_NAME}": f"test_{module}",
        TEMPLATE_NAME.capitalize(): capitalized,
        TEMPLATE_NAME: name,
    }
    pattern = re.compile("|".join(replacements))

    def rename(text: str) -> str:
        return pattern.sub(lambda found: replacements[found[0]], text)

    files = [file for file in sorted(TEMPLATE.iterdir()) if file.is_file()]
    return {rename(file.name): rename(file.read_text("utf-8")) for file in files}
