"""A file with its content's hash."""

from pathlib import Path

from pydantic import SerializationInfo, ValidationInfo, field_serializer, field_validator

from edgekd.values.value import Value


class File(Value):
    """A file and its content. What depends on it depends on its content alone, wherever it lies.

    A stage's result names the files of the stage's own folder relative to it, so that a run directory can be moved.
    """

    path: Path
    sha256: str

    def key(self) -> str:
        """What decides the result of a stage that reads the file."""
        return self.sha256

    @field_validator("path")
    @classmethod
    def _below_the_stage(cls, path: Path, info: ValidationInfo) -> Path:
        folder: Path | None = (info.context or {}).get("folder")
        if folder is None:
            return path
        if not (folder / path).exists():
            raise ValueError("it isn't there")
        return folder / path

    @field_serializer("path")
    def _relative_to_the_stage(self, path: Path, info: SerializationInfo) -> str:
        folder: Path | None = (info.context or {}).get("folder")
        return str(path.relative_to(folder) if folder and path.is_relative_to(folder) else path)
