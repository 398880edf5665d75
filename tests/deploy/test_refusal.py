import logging

import pytest

from edgekd.deploy.refusal import refusing
from edgekd.errors import StorageError, UnsupportedModelError


@pytest.mark.parametrize("error", [AssertionError("axis\n 3"), KeyError("axis"), RuntimeError("axis")])
def test_whatever_a_pass_raises_says_what_could_not_be_done(error):
    with (
        pytest.raises(UnsupportedModelError, match=rf"^it can't be written: {type(error).__name__}: .*axis"),
        refusing("it can't be written"),
    ):
        raise error


@pytest.mark.parametrize("error", [StorageError("full"), UnsupportedModelError("too old"), OSError("gone")])
def test_what_is_known_already_stays(error):
    with pytest.raises(type(error)) as raised, refusing("it can't be written"):
        raise error
    assert raised.value is error


def test_warnings_of_passes_are_not_shown_and_later_ones_are(caplog):
    with refusing("it can't be written"):
        logging.getLogger("pass").warning("within")
    logging.getLogger("pass").warning("after")
    assert [record.message for record in caplog.records] == ["after"]
