"""Writes the reference of the contracts beside this file from their own comments: make api-docs

A page a package, in the order in which the contracts say things.
"""

import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    ServiceDescriptorProto,
)

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PREFIX = "spendgate."
# Field numbers of descriptor.proto: what a path to a comment is made of.
_MESSAGES, _ENUMS, _SERVICES = 4, 5, 6
_FIELDS, _NESTED, _VALUES, _METHODS = 2, 3, 2, 2
_HEAD = "<!-- Written by docs/api/build.py from the contracts: make api-docs -->\n"

Path_ = tuple[int, ...]


@dataclass
class Page:
    """One package: what its files say, services first."""

    package: str
    services: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    enums: list[str] = field(default_factory=list)
    about: list[str] = field(default_factory=list)

    def text(self) -> str:
        """The page as Markdown."""
        title = f"{_HEAD}# {self.package}\n\n{' '.join(self.about)}\n"
        return "\n".join([title, *self.services, *self.messages, *self.enums]).rstrip() + "\n"


def described() -> FileDescriptorSet:
    """The contracts as they stand, comments included."""
    buf = Path(sys.executable).parent / "buf"
    command = [buf, "build", "-o", "-#format=binpb"]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True)  # noqa: S603
    return FileDescriptorSet.FromString(done.stdout)


def pages(contracts: FileDescriptorSet) -> dict[str, str]:
    """File name -> text, the index as README.md among them."""
    found: dict[str, Page] = {}
    for file in contracts.file:
        if file.package.startswith(PREFIX):
            _read(file, found.setdefault(file.package, Page(file.package)))
    texts = {_file_of(name): page.text() for name, page in sorted(found.items())}
    texts["README.md"] = _index(found)
    return texts


def _index(found: Mapping[str, Page]) -> str:
    rows = [
        f"| [{name}]({_file_of(name)}) | {' '.join(page.about)} |"
        for name, page in sorted(found.items())
    ]
    return "\n".join(
        [
            f"{_HEAD}# The contracts\n",
            "How they may change, and how to build a client of your own: "
            "[contracts.md](../contracts.md).\n",
            "| package | what it is |",
            "|---|---|",
            *rows,
            "",
        ]
    )


def _file_of(package: str) -> str:
    return f"{package.removeprefix(PREFIX)}.md"


def _read(file: FileDescriptorProto, page: Page) -> None:
    comments = {
        tuple(each.path): " ".join(each.leading_comments.split())
        for each in file.source_code_info.location
        if each.leading_comments
    }
    # What stands above `syntax` tells of the whole file.
    if about := comments.get((12,)):
        page.about.insert(0 if file.service else len(page.about), about)
    for at, service in enumerate(file.service):
        page.services.append(_service(service, comments, (_SERVICES, at), file.package))
    for at, message in enumerate(file.message_type):
        page.messages += _message(message, comments, (_MESSAGES, at), file.package, "")
    for at, enum in enumerate(file.enum_type):
        page.enums.append(_enum(enum, comments, (_ENUMS, at), ""))


def _service(
    service: ServiceDescriptorProto, comments: Mapping[Path_, str], path: Path_, package: str
) -> str:
    rows = []
    for at, method in enumerate(service.method):
        asked = _link(method.input_type, package)
        given = ("a stream of " if method.server_streaming else "") + _link(
            method.output_type, package
        )
        told = _cell(comments.get((*path, _METHODS, at), ""))
        rows.append(f"| {method.name} | {asked} | {given} | {told} |")
    head = ["| RPC | request | response | |", "|---|---|---|---|"]
    return "\n".join([f"## {service.name}\n", f"{comments.get(path, '')}\n", *head, *rows, ""])


def _message(
    message: DescriptorProto, comments: Mapping[Path_, str], path: Path_, package: str, outer: str
) -> Iterator[str]:
    if message.options.map_entry:
        return
    name = outer + message.name
    entries = {each.name: each for each in message.nested_type if each.options.map_entry}
    rows = [
        f"| {one.number} | `{one.name}` | {_type(one, message, entries, package)} |"
        f" {_cell(comments.get((*path, _FIELDS, at), ''))} |"
        for at, one in enumerate(message.field)
    ]
    table = ["| | field | type | |", "|--:|---|---|---|", *rows, ""] if rows else []
    yield "\n".join([f"### {name}\n", f"{comments.get(path, '')}\n", *table])
    for at, nested in enumerate(message.nested_type):
        yield from _message(nested, comments, (*path, _NESTED, at), package, f"{name}.")
    for at, enum in enumerate(message.enum_type):
        yield _enum(enum, comments, (*path, 4, at), f"{name}.")


def _enum(enum: EnumDescriptorProto, comments: Mapping[Path_, str], path: Path_, outer: str) -> str:
    rows = [
        f"| {value.number} | `{value.name}` | {_cell(comments.get((*path, _VALUES, at), ''))} |"
        for at, value in enumerate(enum.value)
    ]
    head = ["| | value | |", "|--:|---|---|"]
    return "\n".join([f"### {outer}{enum.name}\n", f"{comments.get(path, '')}\n", *head, *rows, ""])


def _type(
    one: FieldDescriptorProto,
    message: DescriptorProto,
    entries: Mapping[str, DescriptorProto],
    package: str,
) -> str:
    entry = entries.get(one.type_name.rpartition(".")[2])
    if entry is not None:
        key, value = (_plain(each, package) for each in entry.field)
        return f"map of {key} to {value}"
    words = []
    if one.label == FieldDescriptorProto.LABEL_REPEATED:
        words.append("repeated")
    elif one.proto3_optional:
        words.append("optional")
    elif one.HasField("oneof_index"):
        words.append(f"one of `{message.oneof_decl[one.oneof_index].name}`:")
    return " ".join([*words, _plain(one, package)])


def _plain(one: FieldDescriptorProto, package: str) -> str:
    if one.type_name:
        return _link(one.type_name, package)
    return FieldDescriptorProto.Type.Name(one.type).removeprefix("TYPE_").lower()


def _link(full: str, package: str) -> str:
    name = full.removeprefix(".")
    if not name.startswith(PREFIX):
        return name
    # spendgate.<room>.v1.<Message>[.<Nested>]
    parts = name.split(".")
    home, short = ".".join(parts[:3]), ".".join(parts[3:])
    anchor = "#" + short.replace(".", "").lower()
    return f"[{short}]({anchor if home == package else _file_of(home) + anchor})"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main(written: Iterable[tuple[str, str]]) -> None:
    """Writes the pages and takes away what is none any more."""
    kept = dict(written)
    for old in HERE.glob("*.md"):
        if old.name not in kept:
            old.unlink()
    for name, text in kept.items():
        (HERE / name).write_text(text)


if __name__ == "__main__":
    main(pages(described()).items())
