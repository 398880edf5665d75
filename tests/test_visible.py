import pytest

from edgekd.visible import visible, visible_name


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, größer, 写真 🙂\n\tindented", "plain, größer, 写真 🙂\n\tindented"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("a\rb\x9b\x7f", "a\\x0db\\x9b\\x7f"),
        (b"\xff.onnx".decode(errors="surrogateescape"), "\\xff.onnx"),
        ("gpj.\u202eexe\u2066", "gpj.\\u202eexe\\u2066"),
        ("\ud800", "\\ud800"),
        ("a\u061cb\u2028c", "a\\u061cb\\u2028c"),
    ],
)
def test_what_does_not_show_is_written_out(text, shown):
    assert visible(text) == shown
    shown.encode()


def test_a_name_is_one_line():
    assert visible_name("a\n::error::b\tc") == "a\\n::error::b\\tc"
