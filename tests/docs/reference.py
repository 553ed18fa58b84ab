"""`make reference`: docs/reference.md, generated from the commands and the settings."""

from collections.abc import Iterator

import typer.main
from typer.core import TyperCommand, TyperGroup

from minwallet.cli import main
from minwallet.config import Settings

INTRODUCTION = """\
# Reference

All commands and settings of minwallet. `make reference` writes this page from the program, and a test compares them.
The [index](README.md) lists the how-tos.

## How commands behave

`minwallet [--db PATH] COMMAND`

- Amounts are decimals on the command line (`12.50`) and integers in cents in JSON.
- With `--json`, stdout contains one JSON document and nothing else. Errors go to stderr, one line each.
- While a server runs on the wallet file, changes go through that server.
- Without a server, `seed` is one transaction. Through a server it adds the lines in parts, and bets are placed in
  between. An interrupted seed can be repeated.
- `minwallet --install-completion` installs the completion for your shell.

| exit code | |
|---|---|
"""

EXIT_CODE_RULES = """
- A bad value in an argument is 2, and so is a file to read that is missing, denied, or not a text in UTF-8.
- A bad line in a file of `seed` is 1: nothing was added. A file that is not CSV, or has other columns, is 2. In a file
  of `import` a bad row is 2, because an export has none, and a wrong hash or balance is 1: nothing was imported.
- A change that the wallet refuses is 1, such as a withdrawal beyond the balance or an exclusion until a past date.
- A wallet file that cannot be used is 3, and so is a file that the command cannot write.
"""


SETTINGS_INTRODUCTION = """
A first run needs no settings. Each setting has one of these sources, the first one wins:

1. an option of the command;
2. the environment;
3. a file `.env` in the folder of the wallet file;
4. a file `minwallet.toml` in that folder, with the short name in lower case: `port = 8000`.

- If that folder has no settings, those of the current folder are used, and a line on stderr says so. If both have
  settings, those of the current folder are ignored, and a line says so if one of them differs.
- The current folder's files can name the wallet file: `MINWALLET_DB`, or `db` in `minwallet.toml`.
- A relative path in a file is relative to that file's folder. A relative path in an option or in the environment is
  relative to the current folder.
- An unknown name in a file is an error.

`minwallet config show` prints each setting in force and its source. While a server runs on the wallet file, these are
the settings of the server.

"""


def render_reference() -> str:
    """Return the whole page."""
    group = typer.main.get_group(main.app)
    pieces = [
        INTRODUCTION,
        *_render_exit_codes(),
        EXIT_CODE_RULES,
        "\n## Settings\n",
        *_render_settings(),
        "\n## Commands\n",
    ]
    for name, command in sorted(_iter_commands(group, "minwallet")):
        pieces.append(f"\n### {name.removeprefix('minwallet ')}\n\n{_render_command(name, command)}")
    return "".join(pieces)


def _render_exit_codes() -> Iterator[str]:
    """Yield the table's rows, from the docstring of the command line's root."""
    sentence = (main.__doc__ or "").strip().rpartition("\n\n")[2]
    for each in sentence.rstrip(".").replace("\n", " ").split(", "):
        code, _, meaning = each.partition(" ")
        yield f"| {code} | {meaning} |\n"


def _render_settings() -> Iterator[str]:
    yield SETTINGS_INTRODUCTION
    yield "| setting | default | what it is |\n|---|---|---|\n"
    for name, field in Settings.model_fields.items():
        value = str(field.default).lower() if isinstance(field.default, bool) else field.default
        default = f" `{value}`" if value not in ("", ()) else ""
        yield f"| `MINWALLET_{name.upper()}` |{default} | {field.description} |\n"


def _iter_commands(group: TyperGroup, path: str) -> Iterator[tuple[str, TyperCommand]]:
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from _iter_commands(command, f"{path} {name}")
        else:
            assert isinstance(command, TyperCommand)
            yield f"{path} {name}", command


def _render_command(name: str, command: TyperCommand) -> str:
    context = command.context_class(command, info_name=name)
    usage = " ".join([name, *command.collect_usage_pieces(context)])
    paragraphs = [" ".join(each.split()) for each in (command.help or "").split("\n\n")]
    rows = [found for parameter in command.params if (found := parameter.get_help_record(context))]
    rows.sort(key=lambda row: row[0].startswith("-"))  # what has to be said comes before what can be
    table = "".join(f"| `{_escape_cell(names)}` | {_escape_cell(words)} |\n" for names, words in rows)
    head = "\n| argument or option | |\n|---|---|\n" if rows else ""
    return f"`{usage}`\n\n" + "\n\n".join(paragraphs) + "\n" + head + table


def _escape_cell(text: str) -> str:
    return " ".join(text.replace("<int range>", "<int>").split()).replace("|", "\\|")


if __name__ == "__main__":
    print(render_reference(), end="")
