"""The contracts: what was released is kept, what is written of them is true of them."""

import importlib.util
import subprocess
import sys
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorSet

ROOT = Path(__file__).parents[2]
BUF = Path(sys.executable).parent / "buf"
RELEASED = ROOT / "protos" / "released.binpb"


def run(*command):
    return subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)


def test_nothing_that_was_released_is_broken():
    """Callers built from it go on working."""
    done = run(BUF, "breaking", "protos", "--against", RELEASED)
    assert done.returncode == 0, done.stdout


def test_a_break_is_seen(tmp_path):
    """A field that was there and is not: the guard itself, broken once."""
    released = FileDescriptorSet.FromString(RELEASED.read_bytes())
    (file,) = [f for f in released.file if f.name.endswith("gateway_service.proto")]
    (message,) = [m for m in file.message_type if m.name == "Summary"]
    message.field.add(name="gone", number=9999, type="TYPE_STRING", label="LABEL_OPTIONAL")
    before = tmp_path / "before.binpb"
    before.write_bytes(released.SerializeToString())
    done = run(BUF, "breaking", "protos", "--against", before)
    assert done.returncode == 100
    assert '"gone" on message "Summary" was deleted' in done.stdout


def test_the_reference_is_what_the_contracts_say():
    """Who changes a contract runs make api-docs."""
    spec = importlib.util.spec_from_file_location("api_docs", ROOT / "docs" / "api" / "build.py")
    build = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = build
    spec.loader.exec_module(build)
    wanted = build.pages(build.described())
    kept = {path.name: path.read_text() for path in (ROOT / "docs" / "api").glob("*.md")}
    assert kept == wanted
