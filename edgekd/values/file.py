"""A file with its content's hash."""

import os
from pathlib import Path

from pydantic import SerializationInfo, ValidationInfo, field_serializer, field_validator

from edgekd.values.value import Value


class File(Value):
    """A file and its content. What depends on it depends on its content alone, wherever it lies.

    A stage's result names the files of its own folder and of those beside it relative to its own, so that a run
    directory can be moved, and others by their whole path. A path that is relative already is taken to be so.
    """

    path: Path
    sha256: str

    def key(self) -> str:
        """What decides the result of a stage that reads the file."""
        return self.sha256

    @field_validator("path")
    @classmethod
    def _from_the_stage(cls, path: Path, info: ValidationInfo) -> Path:
        folder: Path | None = (info.context or {}).get("folder")
        if folder is None:
            return path
        found = Path(os.path.normpath(folder / path))
        if not found.exists():
            raise ValueError("it isn't there")
        return found

    @field_serializer("path")
    def _relative_to_the_stage(self, path: Path, info: SerializationInfo) -> str:
        folder: Path | None = (info.context or {}).get("folder")
        return os.path.relpath(path, folder) if folder and path.is_relative_to(folder.parent) else str(path)
