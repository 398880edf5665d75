from edgekd.cli.protocol import protocol
from edgekd.values import MeasuringProtocol


def test_only_what_is_stated_is_set():
    usual = MeasuringProtocol(seconds=0.3).model_copy(update={"transfers": "included"})
    assert protocol(usual, batch=None).model_fields_set == {"seconds", "transfers"}
    assert protocol(usual, batch=1).model_fields_set == {"seconds", "transfers", "batch"}
    assert protocol(usual) == usual
