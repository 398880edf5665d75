"""Makes visible what isn't text: names come from files, and may hold anything."""

import re

# terminals act on control characters, and marks of direction or of lines show a name as another one;
# lone surrogates stand for bytes that aren't UTF-8, and can't be written
_HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str) -> str:
    r"""The text with what doesn't show itself written out, as \x1b; lines and tabs stay."""
    return _HIDDEN.sub(lambda found: _written(ord(found[0])), text)


def visible_name(name: str) -> str:
    """A name that is safe in any line of text, and in any document."""
    return visible(name).replace("\n", "\\n").replace("\t", "\\t")


def _written(code: int) -> str:
    if 0xDC80 <= code <= 0xDCFF:  # a byte of a file's name, as Python carries it
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
