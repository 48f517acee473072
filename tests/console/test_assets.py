"""What is served is what the sources make, and it asks nobody else for anything."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
BUILT = ROOT / "gateway/console/static"
LOCK = ROOT / "console/package-lock.json"


def test_the_files_in_the_repository_are_built_from_the_sources(packages, tmp_path):
    """Types hold, and a build gives the same bytes: nobody edited what is built, or forgot to."""
    for command in (["npx", "tsc", "--noEmit"], ["node", "build.mjs", str(tmp_path)]):
        done = subprocess.run(command, cwd=packages, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    made = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    kept = {path.name: path.read_bytes() for path in BUILT.iterdir()}
    assert made.keys() == kept.keys(), "run: make console"
    assert [name for name in made if made[name] != kept[name]] == []


def test_what_the_page_reckons_is_right(packages, tmp_path):
    """Money, periods, how budgets nest and what another limit would have done: node's own tests."""
    bundle = ["npx", "esbuild", "test/pure.test.ts", "--bundle", "--platform=node"]
    for command in ([*bundle, "--format=esm", f"--outfile={tmp_path}/pure.test.mjs"],
                    ["node", "--test", f"{tmp_path}/pure.test.mjs"]):  # fmt: skip
        done = subprocess.run(command, cwd=packages, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_page_names_only_its_own_files():
    """No script, style or font of another place, and no address in the lock file."""
    page = (BUILT / "index.html").read_text()
    named = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(named) == 3
    for address in named:
        assert (BUILT / address.removeprefix("/console/assets/")).is_file()
    (style,) = BUILT.glob("*.css")
    for url in re.findall(r"url\(([^)]*)\)", style.read_text()):
        assert (BUILT / url.strip('"').removeprefix("/console/assets/")).is_file(), url
    assert '"resolved"' not in LOCK.read_text()
