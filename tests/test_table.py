"""Tables as text."""

from edgekd.console.table import table

ROWS = [["name", "what"], ["one", "two words"]]


def test_what_asks_for_colours_puts_none_into_a_file(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b" not in table(ROWS, terminal=False)
    assert "\x1b" in table(ROWS, terminal=True)


def test_wide_letters_take_two_columns(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    name = "模型" * 9  # 36 columns
    shown = table([["name", "what"], [name, "faster"]], terminal=True)
    assert shown == f"{name}\n  what: faster"
