"""Who made a result: one record that feeds every place where DICOM names algorithm and device."""

from dataclasses import dataclass

import highdicom as hd
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from ai.contract import ModelCard
from node import __version__
from node.core.identity import derived_uid

PRODUCT = "Isocenter"
"""ManufacturerModelName by which our own objects are known when they come back."""

ALGORITHM_FAMILY: dict[str, Code] = {"lung-ct": codes.DCM.MorphologicalOperations}
"""CID 7162 for models that learned nothing; every other model is Artificial Intelligence.

A model's card does not declare its family yet, and "Artificial Intelligence" would be untrue of thresholds and
morphology, whatever the series is called.
"""


@dataclass(frozen=True)
class Equipment:
    """Manufacturer, model, version and UID of a device or an algorithm (IHE AIR table 6.5.3.1-1)."""

    manufacturer: str
    model_name: str
    version: str
    device_uid: str

    def contribution(self) -> Dataset:
        """Item of Contributing Equipment Sequence, purpose (109102, DCM, "Processing Equipment") as AIR asks."""
        item: Dataset = hd.ContributingEquipment(
            manufacturer=self.manufacturer,
            purpose_of_reference=codes.DCM.ProcessingEquipment,
            manufacturer_model_name=self.model_name,
            software_versions=self.version,
        )
        item.DeviceUID = self.device_uid
        return item


@dataclass(frozen=True)
class Algorithm(Equipment):
    """The model that made the findings."""

    family: Code

    @classmethod
    def of(cls, card: ModelCard) -> "Algorithm":
        """Another device UID for every version and every digest, as AIR section 6.5.3.1 asks."""
        return cls(
            manufacturer=card.vendor,
            model_name=card.name,
            version=card.version,
            device_uid=derived_uid("model", card.name, card.version, card.digest),
            family=ALGORITHM_FAMILY.get(card.name, codes.DCM.ArtificialIntelligence),
        )

    def for_segments(self) -> hd.AlgorithmIdentificationSequence:
        return hd.AlgorithmIdentificationSequence(
            name=self.model_name, version=self.version, source=self.manufacturer, family=self.family
        )

    def for_report(self, parameters: list[str] | None = None) -> hd.sr.AlgorithmIdentification:
        """TID 4019. parameters: those the number depends on, such as its operating threshold."""
        return hd.sr.AlgorithmIdentification(
            name=self.model_name, version=self.version, family=self.family, parameters=parameters
        )

    def observer(self) -> hd.sr.DeviceObserverIdentifyingAttributes:
        """TID 1004."""
        return hd.sr.DeviceObserverIdentifyingAttributes(
            uid=self.device_uid, manufacturer_name=self.manufacturer, model_name=self.model_name
        )


NODE = Equipment(PRODUCT, PRODUCT, __version__, derived_uid("node", PRODUCT, __version__))
"""The node itself: it encodes what the algorithm found."""
