"""`minwallet protocols` and `minwallet protocol`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from minwallet.cli.options import JsonOption, WideOption
from minwallet.cli.output import CommandRefused, UsageError, describe_os_error, print_json, print_line, print_table

if TYPE_CHECKING:
    from minwallet.protocols.registry import InstalledProtocol
    from minwallet.protocols.wire import WireProtocol

app = typer.Typer(help="Write a protocol for another provider.", no_args_is_help=True)

PART_NAMES = {"dealer": "demo", "conformance": "conformance", "operator_service": "service"}
"""The purpose of each optional part, in the words of the commands."""


def protocols(wide: WideOption = False, as_json: JsonOption = False) -> None:
    """List the installed protocols and the unusable packages.

    The parts of a protocol are what it offers besides its calls: the demo provider, the conformance kit, and the
    provider's game list and report.

    Example: minwallet protocols
    """
    from minwallet.protocols.registry import find_protocol_problems, list_installed

    installed, problems = list_installed(), find_protocol_problems()
    if as_json:
        broken = [
            {"name": each.protocol or None, "origin": each.origin, "problem": each.reason, "is_usable": False}
            for each in problems
        ]
        print_json({"protocols": [*map(_describe, installed), *broken]})
        return
    columns = ["protocol", "version", "package", "signed", "parts", "operations", "place"]
    print_table(columns, map(_format_row, installed), "no protocols", required=4, wide=wide)
    for problem in problems:
        print_line(str(problem))


def _describe(installed: "InstalledProtocol") -> dict[str, object]:
    package, protocol = installed
    return {
        "name": package.protocol,
        "version": package.version,
        "distribution": package.distribution,
        "place": package.place,
        "is_signed": protocol.signature is not None,
        "parts": _list_parts(protocol),
        "operations": [*protocol.operations],
        "is_usable": True,
    }


def _format_row(installed: "InstalledProtocol") -> list[object]:
    package, protocol = installed
    signed = "yes" if protocol.signature else "no"
    parts, operations = ", ".join(_list_parts(protocol)), ", ".join(protocol.operations)
    return [package.protocol, package.version, package.distribution, signed, parts, operations, package.place]


def _list_parts(protocol: "WireProtocol") -> list[str]:
    return [word for part, word in PART_NAMES.items() if getattr(protocol, part) is not None]


@app.command("new")
def new(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="The protocol's name: lower-case letters, digits and '-'.")
    ],
    path: Annotated[
        Path | None, typer.Option("--path", metavar="FOLDER", help="The folder to write.  [default: minwallet-NAME]")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write a package with a new protocol that works as it is.

    It has one module, golden pairs and tests. Change it until it is the protocol of your provider.

    Example: minwallet protocol new pico
    """
    from minwallet.scaffold import render_package

    _check_new_name(name)
    folder = path or Path(f"minwallet-{name}")
    files = render_package(name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if existing := [file for file in files if (folder / file).exists()]:
            raise CommandRefused([f"'{folder / existing[0]}' exists already; choose another folder with --path"])
        for file, text in files.items():
            with (folder / file).open("x", encoding="utf-8") as stream:
                stream.write(text)
    except OSError as error:
        raise CommandRefused([f"cannot write the package to '{folder}': {describe_os_error(error)}"]) from error
    if as_json:
        print_json({"name": name, "folder": str(folder), "files": [*files]})
        return
    print_line(f"wrote the protocol {name} to {folder}: {', '.join(files)}")
    print_line(f"install it: pip install --no-deps --editable {folder}")


def _check_new_name(name: str) -> None:
    """Raise UsageError if a new package may not have a protocol with this name."""
    from minwallet.protocols.packages import InvalidPackage
    from minwallet.protocols.registry import check_new_protocol

    try:
        check_new_protocol(name)
    except InvalidPackage as error:
        raise UsageError(f"invalid protocol name {name!r}: {error}") from error
