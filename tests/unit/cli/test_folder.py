"""The folder of an embedded fleet."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from cli.embedded.folder import LOG_BYTES_MAX, FleetFile, Folder, FolderProblem

FLEET = FleetFile(1, "127.0.0.1:1", "http://127.0.0.1:2", "r", "l", "t")


def _folder(path: Path) -> Folder:
    folder = Folder(path / ".spendgate")
    folder.make()
    return folder


def test_nobody_else_may_look_in(tmp_path: Path) -> None:
    """The folder is 0700 and its secrets 0600, also when the folder was there before."""
    (tmp_path / ".spendgate").mkdir(mode=0o755)
    folder = _folder(tmp_path)
    folder.secrets()
    folder.keep_local_key("sg_x")
    folder.write_fleet(FLEET)
    assert folder.path.stat().st_mode & 0o777 == 0o700
    for name in ("secrets.json", "local.key", "fleet.json"):
        assert (folder.path / name).stat().st_mode & 0o777 == 0o600


def test_secrets_are_minted_once(tmp_path: Path) -> None:
    """The second start finds the first one's secrets; another folder has others."""
    first = _folder(tmp_path).secrets()
    assert _folder(tmp_path).secrets() == first
    assert len({first.internal_token, first.key_pepper}) == 2
    assert _folder(tmp_path / "other").secrets() != first


def test_lost_secrets_are_not_replaced_silently(tmp_path: Path) -> None:
    """A spoiled secrets file is a problem: new ones would lock every key out."""
    folder = _folder(tmp_path)
    folder.secrets()
    (folder.path / "secrets.json").write_text("{")
    with pytest.raises(FolderProblem, match="restore it"):
        folder.secrets()


def test_one_fleet_a_folder(tmp_path: Path) -> None:
    """A second fleet is refused with the first one's process; after it, the folder is free."""
    folder = _folder(tmp_path)
    with (
        folder.locked(),
        pytest.raises(FolderProblem, match=str(os.getpid())),
        _folder(tmp_path).locked(),
    ):
        pass
    with _folder(tmp_path).locked():
        pass


def test_a_fleet_is_found_only_while_it_runs(tmp_path: Path) -> None:
    """A fleet file that a crash left behind is not believed."""
    folder = _folder(tmp_path)
    assert folder.read_fleet() is None
    with folder.locked():
        folder.write_fleet(FLEET)
        assert _folder(tmp_path).read_fleet() == FLEET
        folder.write_fleet(replace(FLEET, gateway="127.0.0.1:9"))
        assert _folder(tmp_path).read_fleet() == replace(FLEET, gateway="127.0.0.1:9")
    assert folder.read_fleet() is None


def test_a_place_that_cannot_be_a_folder_is_told(tmp_path: Path) -> None:
    """A file in the way is a problem with its name."""
    (tmp_path / ".spendgate").write_text("")
    with pytest.raises(FolderProblem, match=r"\.spendgate"):
        _folder(tmp_path)


def test_a_long_log_is_begun_anew(tmp_path: Path) -> None:
    """A process goes on appending to its file; the old piece is beside it."""
    folder = _folder(tmp_path)
    log = folder.log("cache")
    with log.open("ab") as writer:
        writer.write(b"x" * (LOG_BYTES_MAX + 1))
        writer.flush()
        folder.trim_logs()
        writer.write(b"new")
        writer.flush()
    assert log.read_bytes() == b"new"
    assert (folder.logs / "cache.log.1").stat().st_size == LOG_BYTES_MAX + 1
