"""Every feature that a card may ask for: its name, code, unit and how many decimals of it mean something."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from ai.contract import Code
from ai.errors import CardInvalid

MOST_GREY_LEVELS = 4096
"""As many as images of 12 bits have; co-occurrence holds a number for every two of them."""


class Family(str, Enum):
    """What a feature is computed from."""

    SHAPE = "shape"
    PLANE = "plane"
    CENTROID = "centroid"
    INTENSITY = "intensity"
    TEXTURE = "texture"


class Unit(str, Enum):
    """Unit of a feature (UCUM); VALUE and its square are those of the image's values."""

    MM = "mm"
    MM2 = "mm2"
    MM3 = "mm3"
    PER_MM = "/mm"
    ONE = "1"
    VALUE = "value"
    VALUE2 = "value2"


NO_UNITS = Code("1", "UCUM", "no units")
LENGTHS: Mapping[Unit, Code] = {
    Unit.MM: Code("mm", "UCUM", "mm"),
    Unit.MM2: Code("mm2", "UCUM", "square millimeter"),
    Unit.MM3: Code("mm3", "UCUM", "cubic millimeter"),
    Unit.PER_MM: Code("/mm", "UCUM", "per millimeter"),
}
VALUE_UNITS: Mapping[str, tuple[Code, Code]] = {
    "CT": (Code("[hnsf'U]", "UCUM", "Hounsfield unit"), Code("[hnsf'U]2", "UCUM", "Hounsfield unit squared")),
}
"""Unit of an image's values by modality, and its square; others are arbitrary, with no units."""


@dataclass(frozen=True)
class Feature:
    """One feature. `name`: its code, in scheme IBSI where the initiative defines it."""

    family: Family
    label: str
    name: Code
    unit: Unit
    digits: int

    def unit_for(self, modality: str) -> Code:
        """The unit on images of a modality."""
        value, squared = VALUE_UNITS.get(modality, (NO_UNITS, NO_UNITS))
        match self.unit:
            case Unit.VALUE:
                return value
            case Unit.VALUE2:
                return squared
            case Unit.ONE:
                return NO_UNITS
            case _:
                return LENGTHS[self.unit]


def _ibsi(family: Family, label: str, value: str, meaning: str, unit: Unit, digits: int) -> Feature:
    return Feature(family, label, Code(value, "IBSI", meaning), unit, digits)


def _glcm(label: str, value: str, meaning: str, digits: int = 4) -> Feature:
    return _ibsi(Family.TEXTURE, label, value, f"{meaning} of GLCM", Unit.ONE, digits)


_S, _I = Family.SHAPE, Family.INTENSITY
_OWN = "99ISOCENTER"

FEATURES: Mapping[str, Feature] = {
    "mesh-volume": _ibsi(_S, "Volume within surface", "RNU0", "Volume of Mesh", Unit.MM3, 0),
    "voxel-volume": _ibsi(_S, "Volume of voxels", "YEKZ", "Volume from Voxel Summation", Unit.MM3, 0),
    "surface-area": _ibsi(_S, "Surface", "C0JK", "Surface Area of Mesh", Unit.MM2, 0),
    "surface-to-volume": _ibsi(_S, "Surface to volume", "2PR5", "Surface to Volume Ratio", Unit.PER_MM, 3),
    "compactness-1": _ibsi(_S, "Compactness 1", "SKGS", "Compactness 1", Unit.ONE, 4),
    "compactness-2": _ibsi(_S, "Compactness 2", "BQWJ", "Compactness 2", Unit.ONE, 3),
    "spherical-disproportion": _ibsi(_S, "Spherical disproportion", "KRCK", "Spherical Disproportion", Unit.ONE, 3),
    "sphericity": _ibsi(_S, "Sphericity", "QCFX", "Sphericity", Unit.ONE, 3),
    "asphericity": _ibsi(_S, "Asphericity", "25C7", "Asphericity", Unit.ONE, 3),
    "centre-of-mass-shift": _ibsi(_S, "Centre of mass shift", "KLMA", "Centre of Mass Shift", Unit.MM, 2),
    "maximum-3d-diameter": _ibsi(_S, "Longest diameter in 3D", "L0JK", "Maximum 3D Diameter of a Mesh", Unit.MM, 1),
    "major-axis": _ibsi(_S, "Major axis in 3D", "TDIC", "Major Axis in 3D Length", Unit.MM, 1),
    "minor-axis": _ibsi(_S, "Minor axis in 3D", "P9VJ", "Minor Axis in 3D Length", Unit.MM, 1),
    "least-axis": _ibsi(_S, "Least axis in 3D", "7J51", "Least Axis in 3D Length", Unit.MM, 1),
    "elongation": _ibsi(_S, "Elongation", "Q3CK", "Elongation", Unit.ONE, 3),
    "flatness": _ibsi(_S, "Flatness", "N17B", "Flatness", Unit.ONE, 3),
    "volume-density-box": _ibsi(
        _S,
        "Volume density in box",
        "PBX1",
        "Volume Density in Frame of Reference Axis Aligned Bounding Box",
        Unit.ONE,
        3,
    ),
    "area-density-box": _ibsi(
        _S,
        "Area density in box",
        "R59B",
        "Area Density in Frame of Reference Axis Aligned Bounding Box",
        Unit.ONE,
        3,
    ),
    "volume-density-hull": _ibsi(
        _S, "Volume density in convex hull", "R3ER", "Volume Density in Convex Hull", Unit.ONE, 3
    ),
    "area-density-hull": _ibsi(_S, "Area density in convex hull", "7T7F", "Area Density in Convex Hull", Unit.ONE, 3),
    "long-axis": Feature(Family.PLANE, "Longest axis in a slice", Code("103339001", "SCT", "Long axis"), Unit.MM, 1),
    "short-axis": Feature(
        Family.PLANE, "Width across the longest axis", Code("103340004", "SCT", "Short axis"), Unit.MM, 1
    ),
    "centroid-left": Feature(
        Family.CENTROID,
        "Centroid, to the left",
        Code("CENTRL", _OWN, "Centroid, towards left"),
        Unit.MM,
        1,
    ),
    "centroid-posterior": Feature(
        Family.CENTROID, "Centroid, posterior", Code("CENTRP", _OWN, "Centroid, towards posterior"), Unit.MM, 1
    ),
    "centroid-superior": Feature(
        Family.CENTROID, "Centroid, superior", Code("CENTRS", _OWN, "Centroid, towards superior"), Unit.MM, 1
    ),
    "mean": _ibsi(_I, "Mean", "Q4LE", "Mean intensity", Unit.VALUE, 1),
    "variance": _ibsi(_I, "Variance", "ECT3", "Intensity variance", Unit.VALUE2, 1),
    "skewness": _ibsi(_I, "Skewness", "KE2A", "Intensity skewness", Unit.ONE, 3),
    "kurtosis": _ibsi(_I, "Excess kurtosis", "IPH6", "(Excess) intensity kurtosis", Unit.ONE, 3),
    "median": _ibsi(_I, "Median", "Y12H", "Median intensity", Unit.VALUE, 1),
    "minimum": _ibsi(_I, "Minimum", "1GSF", "Minimum intensity", Unit.VALUE, 1),
    "maximum": _ibsi(_I, "Maximum", "84IY", "Maximum intensity", Unit.VALUE, 1),
    "percentile-5": Feature(_I, "5th percentile", Code("PERC5", _OWN, "5th intensity percentile"), Unit.VALUE, 1),
    "percentile-10": _ibsi(_I, "10th percentile", "QG58", "10th intensity percentile", Unit.VALUE, 1),
    "percentile-25": Feature(_I, "25th percentile", Code("PERC25", _OWN, "25th intensity percentile"), Unit.VALUE, 1),
    "percentile-75": Feature(_I, "75th percentile", Code("PERC75", _OWN, "75th intensity percentile"), Unit.VALUE, 1),
    "percentile-90": _ibsi(_I, "90th percentile", "8DWT", "90th intensity percentile", Unit.VALUE, 1),
    "percentile-95": Feature(_I, "95th percentile", Code("PERC95", _OWN, "95th intensity percentile"), Unit.VALUE, 1),
    "interquartile-range": _ibsi(_I, "Interquartile range", "SALO", "Intensity interquartile range", Unit.VALUE, 1),
    "range": _ibsi(_I, "Range", "2OJQ", "Intensity range", Unit.VALUE, 1),
    "mean-absolute-deviation": _ibsi(
        _I, "Mean absolute deviation", "4FUA", "Intensity-based mean absolute deviation", Unit.VALUE, 1
    ),
    "robust-mean-absolute-deviation": _ibsi(
        _I, "Robust mean absolute deviation", "1128", "Intensity-based robust mean absolute deviation", Unit.VALUE, 1
    ),
    "median-absolute-deviation": _ibsi(
        _I, "Median absolute deviation", "N72L", "Intensity-based median absolute deviation", Unit.VALUE, 1
    ),
    "coefficient-of-variation": _ibsi(
        _I, "Coefficient of variation", "7TET", "Intensity-based coefficient of variation", Unit.ONE, 3
    ),
    "quartile-coefficient-of-dispersion": _ibsi(
        _I,
        "Quartile coefficient of dispersion",
        "9S40",
        "Intensity-based quartile coefficient of dispersion",
        Unit.ONE,
        3,
    ),
    "energy": _ibsi(_I, "Energy", "N8CA", "Intensity-based energy", Unit.VALUE2, 0),
    "root-mean-square": _ibsi(_I, "Root mean square", "5ZWQ", "Root mean square intensity", Unit.VALUE, 1),
    "glcm-joint-maximum": _glcm("Joint maximum", "GYBY", "Joint Maximum"),
    "glcm-joint-average": _glcm("Joint average", "60VM", "Joint Average", 2),
    "glcm-joint-variance": _glcm("Joint variance", "UR99", "Joint Variance", 2),
    "glcm-joint-entropy": _glcm("Joint entropy", "TU9B", "Joint Entropy", 3),
    "glcm-difference-average": _glcm("Difference average", "TF7R", "Difference Average", 3),
    "glcm-difference-variance": _glcm("Difference variance", "D3YU", "Difference Variance", 3),
    "glcm-difference-entropy": _glcm("Difference entropy", "NTRS", "Difference Entropy", 3),
    "glcm-sum-average": _glcm("Sum average", "ZGXS", "Sum Average", 2),
    "glcm-sum-variance": _glcm("Sum variance", "OEEB", "Sum Variance", 2),
    "glcm-sum-entropy": _glcm("Sum entropy", "P6QZ", "Sum Entropy", 3),
    "glcm-angular-second-moment": _glcm("Angular second moment", "8ZQL", "Angular Second Moment"),
    "glcm-contrast": _glcm("Contrast", "ACUI", "Contrast", 3),
    "glcm-dissimilarity": _glcm("Dissimilarity", "8S9J", "Dissimilarity", 3),
    "glcm-inverse-difference": _glcm("Inverse difference", "IB1Z", "Inverse Difference"),
    "glcm-inverse-difference-normalised": _glcm(
        "Inverse difference, normalised", "NDRX", "Normalized Inverse Difference"
    ),
    "glcm-inverse-difference-moment": _glcm("Inverse difference moment", "WF0Z", "Inverse Difference Moment"),
    "glcm-inverse-difference-moment-normalised": _glcm(
        "Inverse difference moment, normalised", "1QCO", "Normalized Inverse Difference Moment"
    ),
    "glcm-inverse-variance": _glcm("Inverse variance", "E8JP", "Inverse Variance"),
    "glcm-correlation": _glcm("Correlation", "NI2N", "Correlation"),
    "glcm-autocorrelation": _glcm("Autocorrelation", "QWB0", "Autocorrelation", 2),
    "glcm-cluster-tendency": _glcm("Cluster tendency", "DG8W", "Cluster Tendency", 2),
    "glcm-cluster-shade": _glcm("Cluster shade", "7NFM", "Cluster Shade", 1),
    "glcm-cluster-prominence": _glcm("Cluster prominence", "AE86", "Cluster Prominence", 0),
    "glcm-information-correlation-1": _glcm(
        "Information correlation 1", "R8DG", "First Measure of Information Correlation"
    ),
    "glcm-information-correlation-2": _glcm(
        "Information correlation 2", "JN9H", "Second Measure of Information Correlation"
    ),
}
"""After the IBSI reference manual (arXiv:1612.07003v11); meanings as PS3.16 has them, where it has them."""


def feature(key: str) -> Feature:
    """The feature of that key. Raises CardInvalid, naming those that there are."""
    found = FEATURES.get(key)
    if found is None:
        raise CardInvalid(f"no feature is called {key!r}; there are: {', '.join(FEATURES)}")
    return found
