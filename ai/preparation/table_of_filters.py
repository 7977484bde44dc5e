"""The rows of the table of preparation that filter and segment."""

from ai.preparation import classical, filters
from ai.preparation.placed import of_spaced_values, of_values
from ai.step import Family, Form, Parameter, Step

VOXELS, MM, VALUE = "voxels", "mm", "units of the image"


def _box(name: str = "radius", meaning: str = "the box has 2·radius + 1", default: int = 1) -> Parameter:
    return Parameter(name, Form.COUNTS, meaning, VOXELS, default=(default,) * 3, low=0, high=100)


def _length(name: str, meaning: str) -> Parameter:
    return Parameter(name, Form.NUMBER, meaning, MM, required=True, low=0.01, high=1000)


def _value(name: str, meaning: str, *, required: bool = False, not_below: str = "", above: str = "") -> Parameter:
    return Parameter(name, Form.NUMBER, meaning, VALUE, required=required, not_below=not_below, above=above)


ORDER = Parameter("order", Form.WHOLE, "steepness n", default=2, low=1, high=20)
CLASSES = Parameter("classes", Form.WHOLE, "how many, the darkest included", required=True, low=2, high=5)
BINS = Parameter("bins", Form.WHOLE, "of the histogram", default=128, low=8, high=65536)

FILTERS = (
    Step("mean", Family.FILTER, of_values(filters.mean), "v' = mean of the box", (_box(),)),
    Step("median", Family.FILTER, of_values(filters.median), "v' = median of the box", (_box(),)),
    Step("minimum", Family.FILTER, of_values(filters.minimum), "v' = min of the box", (_box(),)),
    Step("maximum", Family.FILTER, of_values(filters.maximum), "v' = max of the box", (_box(),)),
    Step("opening", Family.FILTER, of_values(filters.opening), "v' = max of the boxes' min", (_box(),)),
    Step("closing", Family.FILTER, of_values(filters.closing), "v' = min of the boxes' max", (_box(),)),
    Step(
        "gaussian",
        Family.FILTER,
        of_spaced_values(filters.gaussian),
        "v' = G*v; along each axis the discrete Gaussian e^(−t)·I_k(t), t = (σ/s)² "
        "(Lindeberg 1990, DOI 10.1109/34.49051)",
        (_length("sigma_mm", "σ"),),
    ),
    Step(
        "sharpen",
        Family.FILTER,
        of_spaced_values(filters.sharpen),
        "v' = v + amount·(v − G*v)",
        (
            Parameter("amount", Form.NUMBER, "of what is added", default=1.0, low=0, high=100),
            _length("sigma_mm", "σ of G"),
        ),
    ),
    Step(
        "bilateral",
        Family.FILTER,
        of_spaced_values(filters.bilateral),
        "weights exp(−d²/2σ²)·exp(−Δv²/2σ_v²) (Tomasi and Manduchi 1998, DOI 10.1109/ICCV.1998.710815)",
        (
            _length("sigma_mm", "σ of the distance d"),
            Parameter("sigma_value", Form.NUMBER, "σ_v of the difference Δv", VALUE, required=True, low=1e-9),
        ),
    ),
    Step(
        "diffusion",
        Family.FILTER,
        of_spaced_values(filters.diffusion),
        "∂v/∂t = ∇·(exp(−|∇v|²/2K²)·∇v), K = conductance·root mean square of |∇v|, time step s_min/2^(axes + 1) "
        "(Perona and Malik 1990, DOI 10.1109/34.56205)",
        (
            Parameter("iterations", Form.WHOLE, "time steps", default=5, low=1, high=1000),
            Parameter("conductance", Form.NUMBER, "small keeps edges", default=1.0, low=0.01, high=100),
        ),
    ),
    Step(
        "non-local-means",
        Family.FILTER,
        of_values(filters.non_local_means),
        "v' = Σ w·v / Σ w over the window, w = exp(−mean of the patches' Δv² / strength²) "
        "(Buades 2005, DOI 10.1109/CVPR.2005.38)",
        (
            _box("patch_radius", "patches have 2·radius + 1"),
            _box("search_radius", "the window has 2·radius + 1", 2),
            Parameter("strength", Form.NUMBER, "about the noise's standard deviation", VALUE, required=True, low=1e-9),
        ),
    ),
    Step(
        "low-pass",
        Family.FILTER,
        of_spaced_values(filters.low_pass),
        "H(f) = 1/(1 + (f·shortest_mm)^2n), Butterworth, on the image mirrored at its ends",
        (_length("shortest_mm", "wavelength that is halved"), ORDER),
    ),
    Step(
        "high-pass",
        Family.FILTER,
        of_spaced_values(filters.high_pass),
        "H(f) = (f·longest_mm)^2n/(1 + (f·longest_mm)^2n)",
        (_length("longest_mm", "wavelength that is halved"), ORDER),
    ),
    Step(
        "band-pass",
        Family.FILTER,
        of_spaced_values(filters.band_pass),
        "the product of both",
        (
            _length("shortest_mm", "wavelength that is halved"),
            _length("longest_mm", "wavelength that is halved"),
            ORDER,
        ),
    ),
    Step(
        "roberts",
        Family.FILTER,
        filters.roberts,
        "√((v[r,c] − v[r+1,c+1])² + (v[r+1,c] − v[r,c+1])²), at (r + ½, c + ½): the grid loses a row and a column",
    ),
    Step(
        "sobel",
        Family.FILTER,
        of_spaced_values(filters.sobel),
        "√Σ g², along each axis g = (v₊ − v₋)/2s of values smoothed across by (1, 2, 1)/4",
    ),
    Step(
        "canny",
        Family.FILTER,
        of_spaced_values(filters.canny),
        "1 on ridges of the gradient of G*v above `high`, followed while above `low` "
        "(Canny 1986, DOI 10.1109/TPAMI.1986.4767851)",
        (
            _length("sigma_mm", "σ of G"),
            Parameter("low", Form.NUMBER, "an edge goes on", "units per voxel", required=True, low=0),
            Parameter("high", Form.NUMBER, "an edge begins", "units per voxel", required=True, low=0, not_below="low"),
        ),
    ),
    Step(
        "laplacian-of-gaussian",
        Family.FILTER,
        of_spaced_values(filters.laplacian_of_gaussian),
        "Δ(G*v), per mm²: below 0 on bright spots",
        (_length("sigma_mm", "σ of G"),),
    ),
    Step(
        "n4",
        Family.FILTER,
        of_spaced_values(filters.n4),
        "v' = v/b, b the smooth bias field (Tustison 2010, DOI 10.1109/TMI.2010.2046908) of the voxels above a value",
        (
            Parameter("shrink", Form.WHOLE, "b is found on every so many voxels", default=4, low=1, high=16),
            Parameter(
                "iterations", Form.WHOLES, "at most, for each level of b", default=(50, 50, 50), low=1, high=1000
            ),
            _value("above", "voxels above it decide; left out: Otsu's threshold"),
        ),
    ),
)

SEGMENTATION = (
    Step(
        "between",
        Family.SEGMENTATION,
        of_values(classical.between),
        "1 where low ≤ v ≤ high",
        (_value("low", "left out: none"), _value("high", "left out: none", not_below="low")),
    ),
    Step(
        "otsu",
        Family.SEGMENTATION,
        of_values(classical.otsu),
        "1 above the threshold of the highest variance between classes (Otsu 1979, DOI 10.1109/TSMC.1979.4310076)",
        (BINS,),
    ),
    Step(
        "multi-otsu",
        Family.SEGMENTATION,
        of_values(classical.multi_otsu),
        "classes 0, 1, … from dark to bright by the thresholds of the highest variance between classes",
        (CLASSES, BINS),
    ),
    Step(
        "k-means",
        Family.SEGMENTATION,
        of_values(classical.k_means),
        "classes 0, 1, … from dark to bright by the nearest mean (Lloyd 1982, DOI 10.1109/TIT.1982.1056489), values "
        "counted in 4096 bins, means starting evenly spaced between P(0.5) and P(99.5)",
        (CLASSES, Parameter("iterations", Form.WHOLE, "at most", default=100, low=1, high=10000)),
    ),
    Step(
        "region-growing",
        Family.SEGMENTATION,
        of_values(classical.region_growing),
        "1 where low ≤ v ≤ high and faces join it to such a voxel with seed_low ≤ v ≤ seed_high",
        (
            _value("low", "left out: none"),
            _value("high", "left out: none", not_below="low"),
            _value("seed_low", "left out: none"),
            _value("seed_high", "left out: none", not_below="seed_low"),
        ),
    ),
    Step(
        "watershed",
        Family.SEGMENTATION,
        of_spaced_values(classical.watershed),
        "1 where the flood of `sobel` from {v > above} arrives before that from {v < below} (Beucher and Meyer 1993)",
        (
            _value("below", "is not of the region", required=True),
            _value("above", "is of the region", required=True, above="below"),
        ),
    ),
    Step(
        "level-set",
        Family.SEGMENTATION,
        of_spaced_values(classical.level_set),
        "1 inside the surface that starts at {low ≤ v ≤ high} and moves with speed min(v − low, high − v) less its "
        "curvature (ITK's ThresholdSegmentationLevelSet; Lefohn 2003)",
        (
            _value("low", "grows above", required=True),
            _value("high", "grows below", required=True, above="low"),
            Parameter("curvature", Form.NUMBER, "weight of smoothness", default=1.0, low=0, high=100),
            Parameter("iterations", Form.WHOLE, "at most", default=100, low=1, high=10000),
        ),
    ),
    Step(
        "components",
        Family.SEGMENTATION,
        of_values(classical.components),
        "pieces of {v > above}, joined by faces: 1 the largest, 2 the next, …",
        (
            Parameter("above", Form.NUMBER, "pieces are brighter", VALUE, default=0.0),
            Parameter("count", Form.WHOLE, "pieces that are kept", default=1, low=1, high=255),
        ),
    ),
)
