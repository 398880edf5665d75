"""The few lines of Python that classify one photo with an artifact: its runtime, numpy and Pillow alone."""

from typing import TYPE_CHECKING

from edgekd import catalog
from edgekd.report.blocks import Code, Section, Table, Text
from edgekd.report.cells import code
from edgekd.values import Feeding, Manifest, Preprocessing

if TYPE_CHECKING:
    from edgekd.deploy.writers._base import Usage

_MODES = {"grey": "L", "rgb": "RGB"}
_SHOWN_CLASSES = 10


def section(manifest: Manifest) -> Section:
    """What the model takes and gives, and the lines that classify a photo with it."""
    taken, how = manifest.input, manifest.preprocessing
    metadata = "its metadata and in " if manifest.file.endswith(".onnx") else ""
    first = ", ".join(code(name) for name in manifest.classes[:_SHOWN_CLASSES])
    more = ", …" if len(manifest.classes) > _SHOWN_CLASSES else ""
    rows = [
        ["file", f"`{manifest.file}`; also stated in {metadata}`model.json`"],
        ["input", f"`{taken.name}`: {taken.dtype}, {'×'.join(map(str, taken.shape))} ({taken.layout})"],
        ["colour", {"grey": "grey", "rgb": "RGB", None: "channels as the data set gives them"}[how.colour]],
        ["size", size(how)],
        ["normalisation", normalisation(manifest)],
        ["output", f"`{manifest.output.name}`: logits of {len(manifest.classes)} classes: {first}{more}"],
    ]
    text = f"With {usage(manifest).title}, numpy and Pillow alone, here in the run directory:"
    return Section("Use the model", [Table(["what", ""], rows), Text(text), Code(lines(manifest), "python")])


def lines(manifest: Manifest, photo: str = "photo.jpg") -> str:
    """Python that prints the class of the image `photo`, prepared as edgekd prepares validation images.

    Where channels are of the user's own kind, `values.npy` holds what the input takes.
    """
    how, runtime = manifest.preprocessing, usage(manifest)
    imports, made = [f"import json, numpy, {runtime.library}"], ['values = numpy.load("values.npy")']
    if how.colour:
        imports.append("from PIL import Image, ImageOps")
        made = [*_photo(how, photo, _MODES[how.colour]), _values(manifest)]
    fed = [runtime.feed] if runtime.feed else []
    classified = [*fed, f"logits = {runtime.logits}", f"print({runtime.classes}[logits.argmax()])"]
    built = [f"# on the device, once: {runtime.build}"] if runtime.build else []
    prepared = [runtime.prepare] if runtime.prepare else []
    opened = [*prepared, f"model = {runtime.model}", *([runtime.start] if runtime.start else [])]
    return "\n".join([*imports, "", *built, *opened, *made, *classified])


def usage(manifest: Manifest) -> "Usage":
    """How the artifact's runtime opens and runs it."""
    # here, not above: writers import the libraries that they write with
    writers = catalog.require("edgekd.deploy.writers._base").WRITERS
    found: Usage = catalog.load(writers, manifest.runtime).usage(manifest)
    return found


def size(how: Preprocessing) -> str:
    """How an image gets its size."""
    if how.crop == "none" or how.resize is None:
        return (
            f"resized to {how.height}×{how.width} pixels (height × width), {how.interpolation}; the aspect isn't kept"
        )
    crop = f"the central {how.height}×{how.width} pixels (height × width) are cropped"
    return f"the short side is resized to {how.resize} pixels, {how.interpolation}; then {crop}"


def normalisation(manifest: Feeding) -> str:
    """What is done to the pixels, and by whom."""
    used = manifest.preprocessing
    mean, std = ([float(f"{value:.4g}") for value in values] for values in (used.mean, used.std))
    how = f"(pixel / 255 - {mean}) / {std}"
    return f"none: the graph computes {how}" if manifest.normalised_by == "graph" else how


def _photo(how: Preprocessing, photo: str, mode: str) -> list[str]:
    method = f"Image.Resampling.{how.interpolation.upper()}"
    found = f'photo = ImageOps.exif_transpose(Image.open("{photo}")).convert("{mode}")'
    if how.crop == "none" or how.resize is None:
        return [found, f"photo = photo.resize(({how.width}, {how.height}), {method})"]
    sides = f"[{how.resize} * side // min(photo.size) for side in photo.size]"
    return [
        found,
        f"photo = photo.resize({sides}, {method})",
        f"left, top = round((photo.width - {how.width}) / 2), round((photo.height - {how.height}) / 2)",
        f"photo = photo.crop((left, top, left + {how.width}, top + {how.height}))",
    ]


def _values(manifest: Manifest) -> str:
    how = manifest.preprocessing
    grey = how.colour == "grey"
    if manifest.normalised_by == "graph":
        return f"values = numpy.asarray(photo)[None{', :, :, None' if grey else ''}]"
    mean, std = ([float(f"{255 * value:.9g}") for value in values] for values in (how.mean, how.std))
    if grey:
        return f"values = ((numpy.asarray(photo) - {mean[0]}) / {std[0]})[None, None]"
    return f"values = ((numpy.asarray(photo) - {mean}) / {std}).transpose(2, 0, 1)[None]"
