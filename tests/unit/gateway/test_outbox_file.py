"""What was on disk is there after a crash at any byte, once, in order, and nothing else."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.outbox.file import OutboxFolder, OutboxLimits, OutboxLocked
from gateway.outbox.frame import Frame, decode, decode_acks, encode, encode_ack

FRAMES = [Frame(at + 1, at % 3 + 1, bytes([at]) * (at * 3)) for at in range(8)]
DATA_MAX = 1_000


def opened(path: Path, **limits: Any) -> tuple[OutboxFolder, list[Frame]]:
    folder = OutboxFolder(path, OutboxLimits(**limits), sync=lambda fd: None)
    return folder, folder.open()


def left_in(path: Path) -> list[Frame]:
    folder, frames = opened(path)
    folder.close()
    return frames


def test_a_file_cut_at_any_byte() -> None:
    """No record that was whole is lost, and none is invented."""
    content = b"".join(map(encode, FRAMES))
    ends = [len(b"".join(map(encode, FRAMES[: n + 1]))) for n in range(len(FRAMES))]
    for cut in range(len(content) + 1):
        frames, good = decode(content[:cut], DATA_MAX)
        assert frames == [frame for frame, end in zip(FRAMES, ends, strict=True) if end <= cut]
        assert good == max([0, *(end for end in ends if end <= cut)])


@given(st.data())
def test_a_damaged_byte_invents_nothing(data: st.DataObject) -> None:
    """A changed byte ends what is read; it changes no record."""
    content = bytearray(b"".join(map(encode, FRAMES)))
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    frames, _ = decode(bytes(content), DATA_MAX)
    assert frames == FRAMES[: len(frames)]


def test_zeros_are_no_records() -> None:
    """File systems leave zeros behind a crash."""
    assert decode(bytes(1_000), DATA_MAX) == ([], 0)


@given(st.integers(0, 40))
def test_notes_cut_at_any_byte(cut: int) -> None:
    """A torn note is no note."""
    content = b"".join(map(encode_ack, [1, 2, 3]))
    assert list(decode_acks(content[:cut])) == [1, 2, 3][: cut // 12]


def test_a_crash_at_any_byte_of_the_folder(tmp_path: Path) -> None:
    """The same over a real folder, where the notes of what is done lie beside."""
    folder, _ = opened(tmp_path / "whole")
    folder.append(FRAMES)
    folder.mark_done([FRAMES[2].position])
    folder.close()
    (log,) = (tmp_path / "whole").glob("0*.log")
    content, notes = log.read_bytes(), log.with_suffix(".acks").read_bytes()
    wanted = [frame for frame in FRAMES if frame is not FRAMES[2]]
    for cut in range(len(content) + 1):
        path = tmp_path / f"cut{cut}"
        path.mkdir()
        (path / log.name).write_bytes(content[:cut])
        (path / log.name).with_suffix(".acks").write_bytes(notes)
        whole, _ = decode(content[:cut], DATA_MAX)
        assert left_in(path) == [frame for frame in wanted if frame in whole]


STEP = st.one_of(
    st.tuples(st.just("put"), st.integers(1, 5)),
    st.tuples(st.just("done"), st.integers(0, 20)),
    st.tuples(st.just("crash"), st.integers(0, 30)),
    st.tuples(st.just("restart"), st.just(0)),
)


@settings(deadline=None)
@given(steps=st.lists(STEP, max_size=30), segment_bytes=st.sampled_from([1, 60, 10_000]))
def test_any_history(
    steps: list[tuple[str, int]], segment_bytes: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Puts, notes, restarts and crashes that tear a half-written record: what is read back is
    what was put and not noted as done."""
    path = tmp_path_factory.mktemp("outbox")
    folder, _ = opened(path, segment_bytes_max=segment_bytes)
    left: dict[int, Frame] = {}
    for what, number in steps:
        if what == "put":
            first = folder.next_position
            frames = [Frame(first + at, 1, os.urandom(at * 7)) for at in range(number)]
            folder.append(frames)
            left |= {frame.position: frame for frame in frames}
        elif what == "done":
            if left:
                position = sorted(left)[number % len(left)]
                folder.mark_done([position])
                del left[position]
        else:
            if what == "crash" and folder._current is not None:  # to tear its file
                torn = encode(Frame(folder.next_position, 1, bytes(20)))
                with folder._current.path.open("ab") as log:
                    log.write(torn[:number])
            folder.close()
            folder, frames = opened(path, segment_bytes_max=segment_bytes)
            assert frames == [left[position] for position in sorted(left)]
    folder.close()
    assert left_in(path) == [left[position] for position in sorted(left)]


def logs(path: Path) -> list[str]:
    return sorted(file.name for file in path.glob("0*"))


def test_a_segment_goes_when_all_of_it_is_done(tmp_path: Path) -> None:
    """The folder does not grow with what was done long ago, whatever an older segment keeps."""
    folder, _ = opened(tmp_path, segment_bytes_max=1)
    for frame in FRAMES[:4]:
        folder.append([frame])
    folder.mark_done([2, 3])
    assert [name[:20].lstrip("0") for name in logs(tmp_path)] == ["1", "4"]
    assert folder.bytes_used == sum(len(encode(FRAMES[at])) for at in (0, 3))
    folder.close()
    assert left_in(tmp_path) == [FRAMES[0], FRAMES[3]]


def test_nothing_is_left_of_a_folder_that_is_done(tmp_path: Path) -> None:
    """At a clean end with nothing to book there is no segment."""
    folder, _ = opened(tmp_path)
    folder.append(FRAMES)
    folder.mark_done([frame.position for frame in FRAMES])
    folder.close()
    assert logs(tmp_path) == []


def test_damage_is_put_aside_not_deleted(tmp_path: Path) -> None:
    """Bytes that cannot be read may be money: the operator finds them in a file."""
    folder, _ = opened(tmp_path)
    folder.append(FRAMES)
    folder.close()
    (log,) = tmp_path.glob("0*.log")
    content = bytearray(log.read_bytes())
    content[len(encode(FRAMES[0])) + 6] ^= 1
    log.write_bytes(content)
    folder, frames = opened(tmp_path)
    assert frames == FRAMES[:1]
    folder.mark_done([1])
    folder.close()
    assert logs(tmp_path) == [log.with_suffix(".damaged").name]
    assert log.with_suffix(".damaged").read_bytes() == content


def test_one_process_a_folder(tmp_path: Path) -> None:
    """Two gateways on one folder would send each other's records."""
    folder, _ = opened(tmp_path)
    with pytest.raises(OutboxLocked):
        opened(tmp_path)
    folder.close()
    left_in(tmp_path)


def failing(times: int) -> Callable[[int], None]:
    left = [times]

    def sync(_: int) -> None:
        if left[0]:
            left[0] -= 1
            raise OSError(5, "no")

    return sync


def test_a_failed_sync_counts_for_nothing(tmp_path: Path) -> None:
    """After it nobody knows what the file holds: its records are cut off, the next go elsewhere."""
    folder, _ = opened(tmp_path)
    folder.append(FRAMES[:2])
    folder._sync = failing(1)  # a disk that fails once
    with pytest.raises(OSError, match="no"):
        folder.append(FRAMES[2:4])
    folder.append(FRAMES[4:6])
    folder.close()
    assert left_in(tmp_path) == [*FRAMES[:2], *FRAMES[4:6]]


def test_parked_records_can_be_read_again(tmp_path: Path) -> None:
    """What the ledger refused is kept in the same form, within bounds."""
    size = len(encode(FRAMES[1])) + len(encode(FRAMES[2]))
    folder, _ = opened(tmp_path, parked_bytes_max=size)
    assert folder.park(FRAMES[1])
    assert folder.park(FRAMES[2])
    assert not folder.park(FRAMES[3])
    folder.close()
    assert decode((tmp_path / "parked.log").read_bytes(), DATA_MAX) == (FRAMES[1:3], size)
    folder, _ = opened(tmp_path, parked_bytes_max=size)
    assert not folder.park(FRAMES[3])
    folder.close()
