import pytest

from edgekd.report import app
from edgekd.values.deployment import Parity
from edgekd.values.mobile import Accelerator, ForApp


@pytest.fixture
def for_app(measurement):
    def make(**accelerator):
        taken = {"provider": "NNAPI", "suits": "no", "nodes": 9, "supported": 5, "partitions": 2}
        return ForApp(
            artifact=measurement().artifact,
            operators="net.config",
            report="net.mobile.txt",
            made_by="onnxruntime 9.8.7",
            accelerators=(Accelerator(**{**taken, **accelerator}),),
            checked_by="my phone",
            parity=Parity(images=64, max_difference=0, sqnr_db=120, top1_agreement=1),
        )

    return make


def test_sizes_the_check_and_what_was_not_measured_are_said(for_app):
    text = "\n".join(app.lines(for_app(unsupported=("ai.onnx:Mod",))))
    assert "(1,000,000 bytes, 900,000 with gzip), by onnxruntime 9.8.7" in text
    assert "120 dB against the ONNX file on 64 images, on my phone" in text
    assert "runs no other model: net.config" in text
    assert "library in the app is not measured" in text
    assert "NNAPI: no, it takes 5 of 9 nodes in 2 partitions, not ai.onnx:Mod; not run (net.mobile.txt)" in text


def test_one_partition_is_one(for_app):
    text = "\n".join(app.lines(for_app(suits="yes", supported=9, partitions=1)))
    assert "NNAPI: yes, it takes 9 of 9 nodes in 1 partition; not run" in text
