"""How the parts of a fleet file refer to one another.

Works on the raw document so that these problems are told together with those of shape; whatever
has the wrong shape is left to the schema.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from catalog.nearest import nearest

Problem = tuple[tuple[str, ...], str]


def reference_problems(document: Mapping[str, Any]) -> Iterator[Problem]:
    """Every name that leads nowhere or to two things, with the nearest known one."""
    providers = _names(document.get("providers"))
    models = document.get("models")
    if not isinstance(models, Mapping):
        return
    sections = {str(name): m for name, m in models.items() if isinstance(m, Mapping)}
    for name, model in sections.items():
        provider = model.get("provider")
        if isinstance(provider, str) and providers and provider not in providers:
            yield ("models", name, "provider"), _unknown("provider", provider, providers)
        yield from _fallback_problems(name, model, _names(models))
    yield from _alias_problems(sections, _names(models))
    yield from _routing_problems(document.get("routing"), _names(models))
    yield from _limit_problems(document.get("limits"), _names(models))
    yield from _prompt_problems(document.get("prompts"), _names(models))
    baseline = document.get("baseline_model")
    if isinstance(baseline, str) and baseline not in models:
        yield ("baseline_model",), _unknown("model", baseline, _names(models))


def _fallback_problems(
    name: str, model: Mapping[str, Any], known: tuple[str, ...]
) -> Iterator[Problem]:
    fallbacks = model.get("fallbacks")
    if not isinstance(fallbacks, list):
        return
    for index, fallback in enumerate(fallbacks):
        path = ("models", name, "fallbacks", str(index))
        if fallback == name:
            yield path, "a model cannot stand in for itself"
        elif isinstance(fallback, str) and fallback not in known:
            yield path, _unknown("model", fallback, known)
        elif fallback in fallbacks[:index]:
            yield path, "is listed twice"


def _alias_problems(
    sections: Mapping[str, Mapping[str, Any]], known: tuple[str, ...]
) -> Iterator[Problem]:
    owner: dict[str, str] = {}
    for name, model in sections.items():
        aliases = model.get("aliases")
        for index, alias in enumerate(aliases if isinstance(aliases, list) else ()):
            if not isinstance(alias, str):
                continue
            path = ("models", name, "aliases", str(index))
            if alias in known:
                yield path, "is the name of a model"
            elif alias in owner:
                yield path, f"is already an alias of {owner[alias]}"
            owner.setdefault(alias, name)


def _limit_problems(limits: Any, known: tuple[str, ...]) -> Iterator[Problem]:
    """A limit of a misspelt model would limit nothing."""
    if isinstance(limits, Mapping) and isinstance(limits.get("models"), Mapping):
        for name in limits["models"]:
            if name not in known:
                yield ("limits", "models", str(name)), _unknown("model", str(name), known)


def _prompt_problems(prompts: Any, known: tuple[str, ...]) -> Iterator[Problem]:
    if not isinstance(prompts, Mapping):
        return
    parts: list[tuple[tuple[str, ...], Any]] = [(("prompts",), prompts)]
    features = prompts.get("features")
    if isinstance(features, Mapping):
        parts += [(("prompts", "features", str(name)), each) for name, each in features.items()]
    for path, part in parts:
        model = part.get("summary_model") if isinstance(part, Mapping) else None
        if isinstance(model, str) and model not in known:
            yield (*path, "summary_model"), _unknown("model", model, known)


def _routing_problems(routing: Any, known: tuple[str, ...]) -> Iterator[Problem]:
    if not isinstance(routing, Mapping):
        return
    parts: list[tuple[tuple[str, ...], Mapping[Any, Any]]] = [(("routing",), routing)]
    for key in ("features", "policies"):
        inner_parts = routing.get(key)
        if isinstance(inner_parts, Mapping):
            parts += [
                (("routing", key, str(name)), each)
                for name, each in inner_parts.items()
                if isinstance(each, Mapping)
            ]
    for path, part in parts:
        for inner, model in _models_named(part):
            if isinstance(model, str) and model not in known:
                yield (*path, *inner), _unknown("model", model, known)


def _models_named(part: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key in ("fixed", "most_capable"):
        yield (key,), part.get(key)
    target, escalation = part.get("target"), part.get("escalation")
    if isinstance(target, Mapping):
        yield ("target", "of"), target.get("of")
    if isinstance(escalation, Mapping):
        yield ("escalation", "strong"), escalation.get("strong")
        yield from _listed(("escalation", "cheap"), escalation.get("cheap"))
    weights = part.get("weights")
    if isinstance(weights, Mapping):
        yield from ((("weights", str(name)), str(name)) for name in weights)
    for key in ("classes", "tenants"):
        lists = part.get(key)
        if isinstance(lists, Mapping):
            for name, models in lists.items():
                yield from _listed((key, str(name)), models)


def _listed(path: tuple[str, ...], models: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(models, list):
        yield from (((*path, str(place)), model) for place, model in enumerate(models))


def _names(section: Any) -> tuple[str, ...]:
    return tuple(str(name) for name in section) if isinstance(section, Mapping) else ()


def _unknown(kind: str, name: str, known: tuple[str, ...]) -> str:
    meant = nearest(name, known)
    hint = f", did you mean {meant}?" if meant else f"; configured: {', '.join(known[:8])}"
    return f"no {kind} of this name{hint}"
