"""`edgekd devices`: your devices and their state, and what they need."""

from pathlib import Path
from typing import Annotated

import typer

from edgekd import console
from edgekd.cli.options import DevicesFile, Json
from edgekd.cli.panels import Command, Verb
from edgekd.cli.working import working
from edgekd.errors import EdgekdError, ExitCode, worst

devices = typer.Typer(invoke_without_command=True, rich_markup_mode=None)


@devices.callback()
def list_devices(
    context: typer.Context,
    *,
    device: Annotated[
        list[str] | None,
        typer.Option(
            "--device",
            metavar="URL|NAME|tag:TAG",
            help="Only these; repeatable (default: all of devices.toml, or else local:).",
        ),
    ] = None,
    file: DevicesFile = None,
    timeout: Annotated[float, typer.Option(min=0.1, metavar="S", help="Wait at most this long for the answers.")] = 30,
    json: Json = False,
) -> int:
    """List your devices with their state: those of devices.toml, or those that --device names; prepare one.

    Exit code: 0, whether they can be reached or not.
    """
    from edgekd import catalog
    from edgekd.devices import listed

    if context.invoked_subcommand:
        if device or file or json:
            raise typer.BadParameter(f"write it after {context.invoked_subcommand!r}")
        return ExitCode.PASS
    places = listed.every(device or (), file)
    found = catalog.require("edgekd.pipeline.devices").devices(places, timeout_s=timeout)
    console.json(found) if json else console.devices(found)
    return ExitCode.PASS


@devices.command("bundle", cls=Verb)
def bundle(
    *,
    arch: Annotated[str, typer.Option(metavar="NAME", help="The device's architecture: aarch64 or x86_64.")],
    python: Annotated[
        str | None, typer.Option(metavar="3.N", help="The version of Python (default: that of the apt sources).")
    ] = None,
    onnxruntime: Annotated[
        str | None, typer.Option(metavar="VERSION", help="The version of ONNX Runtime (default: the newest).")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Write it here, not to the user's cache, where devices get it from."),
    ] = None,
    json: Json = False,
) -> int:
    """Make what a device without Python runs: a folder with glibc, Python, numpy and ONNX Runtime.

    It is made from the packages of this system's apt sources and from wheels, and copied to a device that has no Python
    with the runtime when it is first used there, for example to a phone. It needs apt-get, and apt sources of that
    architecture: Debian's have it, Ubuntu's usual ones have no arm64.
    """
    from edgekd import catalog

    making = catalog.require("edgekd.devices.bundle.make")
    with working() as progress:
        found, folder = making.make(making.Wanted(arch, python, onnxruntime), progress, out)
    console.json(found) if json else console.bundle(found, folder)
    return ExitCode.PASS


@devices.command("clean", cls=Command)
def clean(
    device: Annotated[
        list[str], typer.Argument(metavar="DEVICE...", help="URLs, names or tags, as --device takes them.")
    ],
    *,
    file: DevicesFile = None,
) -> int:
    """Remove what edgekd keeps on devices: files that were sent, engines that were built there.

    It is sent and built again when it is needed. A device in use is not cleaned.

    Exit codes: 0 all were cleaned, 5 one is in use, can't be reached or can't be cleaned.
    """
    from edgekd import catalog
    from edgekd.devices import listed
    from edgekd.pipeline.several import failure_of

    connect, codes = catalog.require("edgekd.devices.device").connect, []
    for place in listed.chosen(device, file):
        try:
            with connect(place.url) as found:
                console.cleaned(place.name, found.clean())
        except EdgekdError as e:  # the others are cleaned all the same
            console.failure(place.name, failure_of(e))
            codes.append(e.exit_code)
    return worst(codes)
