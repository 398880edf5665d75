"""A pruning method's options: the recipe's, checked against those that the method has."""

from collections.abc import Mapping

from edgekd import catalog
from edgekd.errors import EdgekdError
from edgekd.pruning._base import METHODS, Method, Option, Subject


def method_of(name: str, stated: Mapping[str, Option]) -> tuple[Method, dict[str, Option]]:
    """The method of that name with all its options: what is stated, over its defaults.

    Raises:
        EdgekdError: there is no such method, it has no such option, or an option can't be that.
    """
    method = catalog.load(METHODS, name)
    for option, value in stated.items():
        if option not in method.OPTIONS:
            hint = catalog.nearest(option, method.OPTIONS) if method.OPTIONS else "It has no options."
            raise EdgekdError(f"prune.options: the method {name!r} has no {option!r}", hint)
        default = method.OPTIONS[option]
        if isinstance(value, str) != isinstance(default, str):
            kind = "a word" if isinstance(default, str) else "a number"
            message = f"prune.options: {option} of the method {name!r} is {kind}, not {value!r}"
            raise EdgekdError(message, f"Its default is {default!r}.")
        _require_known(option, value, method.CHOICES)
    return method, {**method.OPTIONS, **stated}


def choice(
    subject: Subject, defaults: Mapping[str, Option], choices: Mapping[str, tuple[str, ...]], option: str
) -> str:
    """The option's value, one of its choices.

    Raises:
        EdgekdError: it is another word.
    """
    value = subject.options.get(option, defaults[option])
    _require_known(option, value, choices)
    return str(value)


def _require_known(option: str, value: Option, choices: Mapping[str, tuple[str, ...]]) -> None:
    if option in choices and value not in choices[option]:
        raise EdgekdError(f"prune.options: {option} can't be {value!r}", catalog.nearest(str(value), choices[option]))
