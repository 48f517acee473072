"""What must not stand in any file of the project."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Put together here, so that this file does not hold them.
HOSTS = [
    ("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"), ("proxy.golang", "org"),
    ("crates", "io"), ("maven", "org"), ("debian", "org"),
]  # fmt: skip
FORBIDDEN = re.compile("|".join(rf"{name}\.{top}" for name, top in HOSTS))


def test_no_file_names_a_registrys_host():
    """Lock files carry hashes, not addresses; whoever installs chooses where from."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout
    found = []
    for name in filter(None, listed.split("\0")):
        try:
            text = (ROOT / name).read_text()
        except (UnicodeDecodeError, FileNotFoundError):
            continue
        found += [f"{name}: {match[0]}" for match in FORBIDDEN.finditer(text)]
    assert found == []
