"""Routes as the routing decision needs them: conditions compiled, the model's inputs filled in."""

from collections.abc import Callable, Mapping

from node.conditions import Preference, Undecided, compile_condition, compile_preference
from node.core.model import ModelFacts
from node.core.routing import Answer, InputRule, Names, Rank, RouteRule
from node.errors import ConfigurationInvalid
from node.settings import Route, RouteInput


def compile_route(route: Route, models: Mapping[str, ModelFacts]) -> RouteRule:
    """One route. Raises ConfigurationInvalid where its model or one of its inputs does not exist."""
    model = models.get(route.model)
    if model is None:
        known = ", ".join(sorted(models)) or "none"
        raise ConfigurationInvalid(f"routes.toml: route {route.name!r}: no model {route.model!r}; installed: {known}")
    unknown = sorted(set(route.input) - {name for name, _ in model.inputs})
    if unknown:
        names = ", ".join(name for name, _ in model.inputs)
        raise ConfigurationInvalid(
            f"routes.toml: route {route.name!r}: model {model.name} has no input {unknown[0]!r}; it has {names}"
        )
    inputs = (_input(name, any_of, route.input.get(name, RouteInput())) for name, any_of in model.inputs)
    condition = compile_condition(route.when, of_stack=False)
    return RouteRule(
        name=route.name,
        enabled=route.enabled,
        sources=route.sources,
        to_ae=route.to_ae,
        when=lambda names: _answer(condition(names)),
        inputs=tuple(inputs),
    )


def _input(name: str, modalities: tuple[str, ...], given: RouteInput) -> InputRule:
    where = compile_condition(given.where, of_stack=True)
    prefer = tuple(_rank_by(compile_preference(text)) for text in given.prefer)
    return InputRule(name=name, modalities=modalities, where=lambda names: _answer(where(names)), prefer=prefer)


def _rank_by(preference: Preference) -> Callable[[Names], Rank]:
    def rank(names: Names) -> Rank:
        found = preference(names)
        return Rank(None if isinstance(found, Undecided) else found)

    return rank


def _answer(verdict: bool | Undecided) -> Answer:
    if isinstance(verdict, Undecided):
        return Answer(None, verdict.why)
    return Answer(verdict, "" if verdict else "its condition is false")
