"""The fleet file: providers, models and the rules between them, checked as a whole."""

import types
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from catalog import yaml_text
from catalog.nearest import nearest
from catalog.references import reference_problems
from catalog.schema import FleetConfig

FILE_BYTES_MAX = 4 * 2**20

_SECRET_KEYS = frozenset({"api_key", "apikey", "key", "secret", "token", "password"})
_KEEP_OUT_ADVICE = (
    "a secret does not belong in this file, which is read, copied and printed; put it into an"
    " environment variable and name that with api_key_env"
)


class ConfigError(Exception):
    """The fleet file cannot be used. `problems` has every one found, `source` says where.

    A problem begins with the path of the key, ends with its line where that is known, and never
    repeats a value.
    """

    def __init__(self, source: str, problems: list[str]) -> None:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__("\n  ".join([f"{source}: {count}", *problems]))
        self.source = source
        self.problems = problems


def load_config(path: Path) -> FleetConfig:
    """Read and check the file. Raises ConfigError, also when there is nothing to read."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(str(path), [error.strerror or "cannot be read"]) from error
    if len(content) > FILE_BYTES_MAX:
        raise ConfigError(str(path), [f"is over {FILE_BYTES_MAX} bytes"])
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise ConfigError(str(path), [f"is not UTF-8 at byte {error.start}"]) from error
    return parse_config(text, str(path))


def parse_config(text: str, source: str = "config") -> FleetConfig:
    """Check the text of a fleet file. Raises ConfigError with every problem in it."""
    try:
        document, lines, twice = yaml_text.read(text)
    except yaml.YAMLError as error:
        raise ConfigError(source, [_yaml_problem(error)]) from error
    if not isinstance(document, dict):
        raise ConfigError(source, ["must be a mapping with the keys providers and models"])
    found = [((*path.split("."),), "is given twice") for path in twice]
    config = None
    try:
        config = FleetConfig.model_validate(document)
    except ValidationError as error:
        found += _shape_problems(error, document)
    found += reference_problems(document)
    if found or config is None:
        found.sort(key=lambda problem: _line(problem[0], lines) or 0)
        raise ConfigError(source, [_line_added(path, what, lines) for path, what in found])
    return config


def json_schema() -> dict[str, Any]:
    """JSON Schema of the fleet file, for editors."""
    schema = FleetConfig.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "Spendgate fleet file"
    return schema


def _yaml_problem(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    what = getattr(error, "problem", None) or "is not YAML"
    return f"{what} (line {mark.line + 1}, column {mark.column + 1})" if mark else str(what)


def _line(path: tuple[str, ...], lines: Mapping[tuple[str, ...], int]) -> int | None:
    """The line of the key, else of the nearest part around it."""
    return next((lines[path[:n]] for n in range(len(path), 0, -1) if path[:n] in lines), None)


def _line_added(path: tuple[str, ...], what: str, lines: Mapping[tuple[str, ...], int]) -> str:
    at = _line(path, lines)
    name = ".".join(path)
    text = f"{name}: {what}" if name else what
    return f"{text} (line {at})" if at else text


def _shape_problems(error: ValidationError, document: Any) -> Iterator[tuple[tuple[str, ...], str]]:
    for detail in error.errors(include_url=False, include_input=False):
        loc = detail["loc"]
        kind = detail["type"]
        if loc[-1] == "[key]" and kind == "string_type":
            what = "a name must be text: put it in quotes"
        elif kind == "extra_forbidden":
            what = _unknown_key(loc)
        elif kind == "missing":
            what = "is required"
        elif kind in {"enum", "literal_error"}:
            what = f"must be {detail.get('ctx', {}).get('expected', 'one of the known words')}"
        else:
            what = detail["msg"].removeprefix("Value error, ")
        yield _as_written(loc, document), what


def _as_written(loc: tuple[int | str, ...], document: Any) -> tuple[str, ...]:
    """The path in the file: a lone entry that stands where a list may stand has no index."""
    path: list[str] = []
    here = document
    for step in loc:
        if isinstance(step, int) and isinstance(here, Mapping) and step not in here:
            continue
        if step == "[key]":
            continue
        path.append(str(step))
        try:
            here = here[step]
        except (KeyError, IndexError, TypeError):
            here = None
    return tuple(path)


def _unknown_key(loc: tuple[int | str, ...]) -> str:
    key = str(loc[-1])
    section = _section_at(loc[:-1])
    known = section.model_fields if section else {}
    if key.casefold() in _SECRET_KEYS and "api_key_env" in known:
        return _KEEP_OUT_ADVICE
    meant = nearest(key, known)
    return f"unknown key, did you mean {meant}?" if meant else "unknown key"


def _section_at(loc: tuple[int | str, ...]) -> type[BaseModel] | None:
    """The part of the schema that a path ends in."""
    here: Any = FleetConfig
    for step in loc:
        if isinstance(here, type) and issubclass(here, BaseModel):
            field = here.model_fields.get(str(step))
            here = _without_none(field.annotation) if field else None
        elif get_origin(here) in {dict, list}:
            here = _without_none(get_args(here)[-1])
        else:
            return None
    return here if isinstance(here, type) and issubclass(here, BaseModel) else None


def _without_none(annotation: Any) -> Any:
    while get_origin(annotation) is not None and hasattr(annotation, "__metadata__"):
        annotation = get_args(annotation)[0]
    if isinstance(annotation, types.UnionType) or str(get_origin(annotation)) == "typing.Union":
        left = [part for part in get_args(annotation) if part is not type(None)]
        return _without_none(left[0])
    return annotation


def embedded_config() -> FleetConfig:
    """The fleet of an empty directory: a small local model under the names of known ones."""
    text = files("catalog").joinpath("embedded.yaml").read_text(encoding="utf-8")
    return parse_config(text, "catalog/embedded.yaml")
