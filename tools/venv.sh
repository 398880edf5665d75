# Sourced by tools/demo and tools/test: makes .venv once, and again only when pyproject.toml has changed.
# venv EXTRAS: installs edgekd from this checkout with those extras.

root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
cd "$root" || exit 1

venv() {
    python=${PYTHON:-python3}
    if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        echo "edgekd needs Python 3.11 or newer as python3; or name one: PYTHON=/path/to/python $0" >&2
        exit 2
    fi
    stamp=".venv/edgekd-$1-$(cksum < pyproject.toml | tr -d ' ')"
    [ -e "$stamp" ] && return
    echo "Setting up .venv with edgekd[$1]. PyTorch is large: this takes minutes, once." >&2
    [ -x .venv/bin/python ] || "$python" -m venv .venv || exit 2
    .venv/bin/python -m pip install --quiet --editable ".[$1]" || exit 2
    : > "$stamp"
}
