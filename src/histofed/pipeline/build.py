"""Options -> objects: the only place where a name in a config becomes a class.

Only names inside this package, and tissue methods that an installed package declares, are ever
imported, so a config that came from elsewhere cannot run anything else.
"""

from __future__ import annotations

import importlib
import inspect
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, get_type_hints

from omegaconf import DictConfig, OmegaConf

from histofed.core.tiling import TileSpec
from histofed.errors import ConfigError, did_you_mean
from histofed.io.tables import check_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from histofed.core.tasks import Task
    from histofed.extract.encoders import EncoderCard, TileEncoder
    from histofed.extract.quality import QualitySpec
    from histofed.extract.slide_encoders import SlideEncoder
    from histofed.extract.stain import StainMethod
    from histofed.extract.tissue import TissueMethod
    from histofed.federation.strategies.base import Strategy
    from histofed.mil.aggregators import Aggregator
    from histofed.mil.module import MILModule
    from histofed.mil.objectives import Objective
    from histofed.pipeline.schema import TrainConfig
    from histofed.pipeline.schema_parts import QualityConfig, TilingConfig, TrainerConfig

NAMESPACES = {
    "encoder": "histofed.extract.encoders.",
    "tissue": "histofed.extract.tissue.",
    "stain": "histofed.extract.stain.",
    "slide_encoder": "histofed.extract.slide_encoders.",
    "aggregator": "histofed.mil.aggregators.",
    "strategy": "histofed.federation.strategies.",
}
"""Where the classes of each component live."""

GIVEN = {
    "aggregator": {"dim", "n_classes"},
    "encoder": {"device", "precision", "engine"},
    "tissue": set[str](),
    "stain": set[str](),
    "slide_encoder": set[str](),
    "strategy": set[str](),
}
"""Arguments that come from the data or from the verb's own options."""

PLUGINS = {"tissue": "histofed.tissue"}
"""Components that installed packages may add, and the entry-point group they declare them in."""


def objective(task: Task, config: TrainerConfig) -> Objective:
    """Return what training asks of a model."""
    from histofed.mil.objectives import objective_of

    return objective_of(task, survival=config.survival_loss)


def module(config: TrainConfig, task: Task, *, dim: int, n_covariates: int = 0) -> MILModule:
    """Return an untrained model for features of ``dim``; weights come from torch's random state.

    Those of the aggregator are the same with covariates and without.
    """
    from histofed.mil.fusion import fusion_for
    from histofed.mil.module import MILModule

    aims = objective(task, config.trainer)
    pools = aggregator(config.aggregator, dim=dim, n_classes=aims.n_logits)
    kind = config.clinical.fusion
    return MILModule(
        pools,
        aims,
        fusion=fusion_for(pools, kind, n_covariates=n_covariates) if n_covariates else None,
        learning_rate=config.trainer.learning_rate,
        weight_decay=config.trainer.weight_decay,
    )


def tile_spec(config: TilingConfig) -> TileSpec:
    """Return the tile specification that the options describe."""
    return TileSpec(
        size_px=config.size_px,
        mpp=config.mpp,
        overlap_px=config.overlap_px,
        min_tissue=config.min_tissue,
        min_tissue_um2=config.min_tissue_um2,
        images=config.images,  # type: ignore[arg-type]  # refused by name if it is none
    )


def tissue(config: Mapping[str, Any]) -> TissueMethod:
    """Return the tissue method, its weights loaded where it has some."""
    built: TissueMethod = _make("tissue", config)
    return built


def stain(config: Mapping[str, Any]) -> StainMethod:
    """Return the stain method, its reference learned where one was given."""
    built: StainMethod = _make("stain", config)
    return built


def quality(config: QualityConfig) -> QualitySpec:
    """Return what counts as a flaw of a tile, and which flaws drop one."""
    from histofed.extract.quality import QualitySpec

    return QualitySpec(**{**vars(config), "drop": tuple(config.drop)})


def encoder(
    config: Mapping[str, Any],
    *,
    spec: TileSpec,
    device: str = "auto",
    precision: str = "auto",
    engine: str = "auto",
) -> TileEncoder:
    """Return the tile encoder, its weights loaded; tiles it cannot take are refused before."""
    from histofed.extract.encoders import registry

    registry.card(config.get("card", config["name"])).check(spec)
    built: TileEncoder = _make("encoder", config, device=device, precision=precision, engine=engine)
    return built


def slide_encoder(config: Mapping[str, Any]) -> SlideEncoder:
    """Return the slide encoder, its weights loaded where it has some."""
    built: SlideEncoder = _make("slide_encoder", config)
    return built


def each_encoder(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return name -> options of one encoder, or of each of several."""
    return {config["name"]: config} if "_target_" in config else dict(config)


def encoders(
    config: Mapping[str, Any],
    *,
    spec: TileSpec,
    device: str = "auto",
    precision: str = "auto",
    engine: str = "auto",
) -> dict[str, TileEncoder]:
    """Return name -> tile encoder, of one or several; all of them must take the same tiles."""
    from histofed.extract.extract import check_one_grid

    for name in each_encoder(config):
        check_name("encoder.name", name, "options")  # folders are called so
    check_one_grid(encoder_cards(config))
    return {
        name: encoder(each, spec=spec, device=device, precision=precision, engine=engine)
        for name, each in each_encoder(config).items()
    }


def encoder_cards(config: Mapping[str, Any]) -> list[EncoderCard]:
    """Return the cards of one or several encoders, without their weights."""
    from histofed.extract.encoders import registry

    return [registry.card(each.get("card", each["name"])) for each in each_encoder(config).values()]


def aggregator(config: Mapping[str, Any], *, dim: int, n_classes: int = 1) -> Aggregator:
    """Return the aggregator for features of ``dim``; its weights come from torch's random state."""
    built: Aggregator = _make("aggregator", config, dim=dim, n_classes=n_classes)
    return built


def needs_classes(target: str) -> bool:
    """Whether the aggregator of this name must know the class of a bag to train."""
    found: type[Aggregator] = _target("aggregator", target)  # type: ignore[assignment]
    return found.needs_classes


def strategy(config: Mapping[str, Any]) -> Strategy:
    """Return the server's rule."""
    built: Strategy = _make("strategy", config)
    return built


def check_component(kind: str, config: Any, *, option: str = "") -> None:
    """Check a component's class and arguments without making it.

    Parameters
    ----------
    option
        What it is called on the command line, where that is not ``kind``.

    Raises
    ------
    ConfigError
        The class is not ours, or an argument is unknown or of the wrong type.
    """
    option = option or kind
    if not isinstance(config, DictConfig) or not isinstance(config.get("_target_"), str):
        msg = f"{option}: expected a choice of configs/{kind}/, got {config!r}"
        raise ConfigError(msg)
    target = _target(kind, config["_target_"])
    hints = get_type_hints(target.__init__ if inspect.isclass(target) else target)
    allowed = [
        name
        for name in inspect.signature(target).parameters
        if name not in GIVEN[kind] and name != "self"
    ]
    for name, value in _arguments(OmegaConf.to_container(config, resolve=True)).items():
        if name not in allowed:
            guess = did_you_mean(name, allowed, prefix=f"{option}.")
            msg = f"{option}.{name} is not an option of {target.__name__}. "
            raise ConfigError(msg + f"Allowed: {', '.join(allowed) or 'none'}.{guess}")
        _check_type(f"{option}.{name}", value, hints.get(name, Any))


def _make(kind: str, config: Mapping[str, Any], **given: Any) -> Any:
    return _target(kind, config["_target_"])(**_arguments(config), **given)


def _arguments(config: Any) -> dict[str, Any]:
    return {key: value for key, value in config.items() if key not in ("_target_", "name")}


def _target(kind: str, dotted: str) -> Callable[..., Any]:
    if not (dotted.startswith(NAMESPACES[kind]) or dotted in _declared(kind)):
        msg = f"{kind}._target_ is {dotted!r}; only classes in {NAMESPACES[kind]}* are loaded"
        if kind in PLUGINS:
            msg += f", and those an installed package declares as entry point {PLUGINS[kind]}"
        raise ConfigError(msg)
    module, _, name = dotted.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ModuleNotFoundError, AttributeError) as error:
        msg = f"{kind}._target_ {dotted!r} does not exist ({error})"
        raise ConfigError(msg) from error
    if getattr(found, "__module__", None) != module:
        msg = f"{kind}._target_ {dotted!r} is not a {kind} defined there"
        raise ConfigError(msg)
    return found


def _declared(kind: str) -> set[str]:
    """Return the classes that installed packages add to a component, as dotted names."""
    found = entry_points(group=PLUGINS[kind]) if kind in PLUGINS else ()
    return {entry.value.replace(":", ".") for entry in found}


def _check_type(name: str, value: Any, hint: Any) -> None:
    """Check a plain value against an annotation: ``int``, ``float | None``, tuple or Literal."""
    options = getattr(hint, "__args__", None)
    if getattr(hint, "__origin__", None) is tuple and options is not None:
        if not isinstance(value, list):
            msg = f"{name} is {value!r}; it must be a list, as in {name}=[...]"
            raise ConfigError(msg)
        for each in value:
            _check_type(name, each, options[0])
        return
    if (
        options is not None
        and getattr(hint, "__origin__", None) is not None
        and all(isinstance(option, str) for option in options)
    ):
        if value not in options:
            msg = f"{name} is {value!r}; allowed: {', '.join(options)}"
            raise ConfigError(msg)
        return
    kinds = tuple(kind for kind in (options or (hint,)) if isinstance(kind, type))
    if not kinds:
        return
    fits = isinstance(value, kinds) or (float in kinds and isinstance(value, int))
    if not fits or (isinstance(value, bool) and bool not in kinds):
        wanted = " or ".join(kind.__name__ for kind in kinds)
        msg = f"{name} is {value!r}; it must be {wanted}"
        raise ConfigError(msg)
