"""What an artifact makes of the images of each class."""

from typing import Self

from pydantic import model_validator

from edgekd.values.value import NonNegativeInt, Value


class ByClass(Value):
    """An artifact's answers beside the reference's to the same images; each tuple has an entry for every class, in the
    order of the data's classes.
    """

    images: tuple[NonNegativeInt, ...]
    correct: tuple[NonNegativeInt, ...]
    lost: tuple[NonNegativeInt, ...]
    """Images that the reference has right and this artifact hasn't."""
    gained: tuple[NonNegativeInt, ...]
    """The other way round."""
    taken_for: tuple[NonNegativeInt | None, ...]
    """The position of the wrong class that it was given most often; None where no image is wrong."""

    @model_validator(mode="after")
    def _of_the_same_classes(self) -> Self:
        if len({len(of) for of in (self.images, self.correct, self.lost, self.gained, self.taken_for)}) > 1:
            raise ValueError("each has an entry for every class")
        return self
