"""The criterion that a recipe names, with its options."""

from collections.abc import Mapping

from pydantic import ValidationError

from edgekd import catalog
from edgekd.errors import EdgekdError
from edgekd.pruning.criteria._base import CRITERIA, Criterion
from edgekd.values import Value


def criterion_of(name: str, stated: Mapping[str, object]) -> tuple[Criterion, Value]:
    """The criterion of that name, and its options: what is stated, over its defaults.

    Raises:
        EdgekdError: there is no such criterion, it has no such option, or an option can't be that.
    """
    criterion = catalog.load(CRITERIA, name)
    try:
        return criterion, criterion.Options.model_validate(stated)
    except ValidationError as e:
        raise EdgekdError(*catalog.explain(e, f"prune.options of {name!r}", criterion.Options)) from e
