"""A model without code: a folder with a card and a network's file, run as the card says."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ai.card import read_card
from ai.contract import InParts, ModelCard, Predict
from ai.device import Device
from ai.errors import CardInvalid
from ai.findings import Findings
from ai.networks.bundle import Bundle
from ai.networks.cascade import RegionCard, boxes_of, read_region
from ai.networks.configured import Configuration, configurations, read_configuration
from ai.networks.declared import Kind, NetworkCard, read_network
from ai.networks.extras import extra_of, lacking
from ai.networks.flips import asked, axes_of
from ai.networks.found import findings_of, findings_of_outputs, with_disagreement, with_explanation
from ai.networks.heads import Finds
from ai.networks.nnunet import as_planned, open_planned, prepare_as_planned
from ai.networks.opening import open_network
from ai.networks.parts import Part
from ai.networks.plans import Plan, plan_files, read_plan
from ai.networks.running import RunningNetwork, settle
from ai.networks.saliency import check_layer, explained
from ai.preparation.images import Values
from ai.preparation.pipeline import Prepared, prepare
from ai.suitability import refuse_unsuitable
from ai.volume import Inputs

if TYPE_CHECKING:
    import torch

CARD = "card.toml"


@dataclass(frozen=True)
class Loaded:
    """A study ready for the device."""

    prepared: Prepared
    image: "torch.Tensor"


@dataclass(frozen=True)
class Said:
    """What the network said of it."""

    prepared: Prepared
    values: Values | tuple[Part, ...]
    """Of its one output; or of all of them, part by part."""
    spread: Values | None = None
    maps: tuple[tuple[str, Values], ...] = ()


class NetworkModel:
    """The model of a folder. Reading it opens no network: torch is imported where it is opened."""

    def __init__(self, folder: Path) -> None:
        """Raises CardInvalid, naming file and key, where the card cannot be used."""
        file = folder / CARD
        self._folder = folder
        self.card: ModelCard = read_card(file, decided_by=[*configurations(folder), *plan_files(folder)])
        self.network: NetworkCard = read_network(file, self.card)
        self.plan: Plan | None = None
        if self.network.kind is Kind.NNUNET:
            self.plan = read_plan(folder, self.network.configuration)
            self.network = as_planned(self.network, self.plan)
        self.region: RegionCard | None = read_region(file, self.card)
        if self.region is not None and self.network.kind in (Kind.BUNDLE, Kind.NNUNET):
            raise CardInvalid(
                f"{file} [region]: {self.network.kind.value} prepares by itself: it is no cascade's second network"
            )
        if self.region is not None and self.region.network.flips:
            raise CardInvalid(
                f"{file} [region]: flips are for the network that finds, not for the one that looks where"
            )

    @property
    def networks(self) -> tuple[NetworkCard, ...]:
        """Every network of the model, each with the file it pins."""
        return (self.network,) if self.region is None else (self.network, self.region.network)

    @property
    def configuration(self) -> Configuration | None:
        """Of a bundle, as it lies there now. Raises CardInvalid."""
        return read_configuration(self._folder) if self.network.kind is Kind.BUNDLE else None

    @property
    def lacking(self) -> str:
        """What its networks need that is not installed, in words; empty where all of it is there."""
        return next(filter(None, (lacking(extra_of(one.kind)) for one in self.networks)), "")

    @contextmanager
    def open(self, device: Device) -> Iterator[Predict]:
        """Read and build the network, and keep it on its device until left. Raises CardInvalid."""
        if words := self.lacking:
            raise CardInvalid(f"model {self.card.name}: {words}")
        settle(device)
        if self.network.kind is Kind.BUNDLE:
            bundle = Bundle(self._folder, self.card, self.network, device)
            with closing(bundle):
                yield InParts(bundle.load, bundle.compute, bundle.finish)
            return
        if self.plan is not None:
            plan, network = self.plan, self.network
            with closing(RunningNetwork(open_planned(network, plan), network, device)) as running:
                yield in_parts(
                    self.card, network, running, lambda inputs: prepare_as_planned(inputs, self.card, network, plan)
                )
            return
        with closing(_running(self.network, device)) as running:
            if self.region is None:
                yield in_parts(self.card, self.network, running)
                return
            with closing(_running(self.region.network, device)) as first:
                yield _in_two(self.card, self.network, running, self.region, first)


def _running(network: NetworkCard, device: Device) -> RunningNetwork:
    opened = open_network(network, device.threads)
    if network.explanation is not None and network.explanation.layer:
        check_layer(opened, network.explanation.layer)
    return RunningNetwork(opened, network, device)


def _said(
    running: RunningNetwork, image: "torch.Tensor", prepared: Prepared, card: ModelCard, network: NetworkCard
) -> Said:
    if network.in_outputs:
        return Said(prepared, running.outputs(image))
    axes, everywhere = axes_of(network.flips, card.prepare), network.finds is Finds.SEGMENTS
    answer, explanation = asked(running, image, axes, everywhere=everywhere), network.explanation
    if explanation is None or answer.values.shape != (len(network.channels),):  # which becomes no finding
        return Said(prepared, answer.values, answer.spread)
    placed = prepared.placed[prepared.reference]
    maps = explained(running, image, placed, explanation, network.channels)
    return Said(prepared, answer.values, answer.spread, maps)


def _found(said: Said, card: ModelCard, network: NetworkCard) -> Findings:
    if isinstance(said.values, tuple):
        return findings_of_outputs(said.values, said.prepared, card, network)
    findings = findings_of(said.values, said.prepared, card, network.heads[0])
    findings = with_disagreement(findings, said.spread, said.prepared, network)
    return with_explanation(findings, said.maps, said.prepared, card, network)


def in_parts(
    card: ModelCard,
    network: NetworkCard,
    running: RunningNetwork,
    prepared_by: Callable[[Inputs], Prepared] | None = None,
) -> InParts[Loaded, Said]:
    """A prediction: the card's chain (or what is given in its place), the network, and the card's finish."""

    def load(inputs: Inputs) -> Loaded:
        refuse_unsuitable(inputs, card)
        prepared = prepared_by(inputs) if prepared_by else prepare(inputs, card.prepare)
        return Loaded(prepared, running.load(prepared.stacked(network.inputs)))

    def compute(loaded: Loaded) -> Said:
        return _said(running, loaded.image, loaded.prepared, card, network)

    def finish(said: Said) -> Findings:
        return _found(said, card, network)

    return InParts(load, compute, finish)


@dataclass(frozen=True)
class Looked:
    """A study ready for the first network of a cascade."""

    inputs: Inputs
    prepared: Prepared
    image: "torch.Tensor"


def _in_two(
    card: ModelCard, network: NetworkCard, running: RunningNetwork, region: RegionCard, first: RunningNetwork
) -> InParts[Looked, Said]:
    """A cascade: the first network on all of the images, the second on the box around what that one found."""

    def load(inputs: Inputs) -> Looked:
        refuse_unsuitable(inputs, card)
        prepared = prepare(inputs, region.prepare)
        return Looked(inputs, prepared, first.load(prepared.stacked(region.network.inputs)))

    def compute(looked: Looked) -> Said:
        boxes = boxes_of(region, looked.inputs, looked.prepared, first(looked.image))
        prepared = prepare(looked.inputs, card.prepare, boxes)
        return _said(running, running.load(prepared.stacked(network.inputs)), prepared, card, network)

    def finish(said: Said) -> Findings:
        return _found(said, card, network)

    return InParts(load, compute, finish)
