"""Every step of preparation: its name in a card, its parameters and what it computes; geometry and intensity here."""

from ai.preparation import geometry, intensity, registration
from ai.preparation.placed import of_values
from ai.preparation.sampling import INTERPOLATIONS
from ai.preparation.table_of_filters import FILTERS, SEGMENTATION
from ai.step import Family, Form, Parameter, Step, Table, table
from ai.volume import LONGEST_SIDE

VOXELS, MM, VALUE = "voxels", "mm", "units of the image"

INTERPOLATION = Parameter(
    "interpolation", Form.TEXT, "how values between voxels are found", default="linear", choices=INTERPOLATIONS
)
FILL = Parameter("value", Form.NUMBER, "value of what is added; left out: the smallest of the image", VALUE)
OUT_LOW = Parameter("out_low", Form.NUMBER, "what the lower end becomes", default=0.0)
OUT_HIGH = Parameter("out_high", Form.NUMBER, "what the upper end becomes", default=1.0)
BEFORE = Parameter(
    "before", Form.COUNTS, "at the beginning of each axis", VOXELS, default=(0, 0, 0), low=0, high=LONGEST_SIDE
)
AFTER = Parameter("after", Form.COUNTS, "at the end of each axis", VOXELS, default=(0, 0, 0), low=0, high=LONGEST_SIDE)
SHAPE = Parameter(
    "shape", Form.COUNTS, "along each axis; 0 keeps an axis", VOXELS, required=True, low=0, high=LONGEST_SIDE
)
MARGIN = Parameter("margin_mm", Form.NUMBER, "kept around the box", MM, default=0.0, low=0)
TO = Parameter("to", Form.INPUT, "the other input", required=True)

GEOMETRY = (
    Step(
        "orient",
        Family.GEOMETRY,
        geometry.orient,
        "axes permuted and reversed so that they run closest to the three directions; no voxel is resampled",
        (
            Parameter(
                "axes",
                Form.TEXT,
                "where slices, rows and columns go: of Left, Right, Posterior, Anterior, Superior, "
                'Inferior one each ("SPL" is an axial CT as DICOM has it, "RAS" as NIfTI has it)',
                required=True,
                choices=geometry.ORIENTATIONS,
            ),
        ),
    ),
    Step(
        "resample",
        Family.GEOMETRY,
        geometry.resample,
        "n' = max(1, round(n·s/s')); x = (n−1)/2 + (x' − (n'−1)/2)·s'/s; the edge is repeated",
        (
            Parameter(
                "spacing_mm", Form.TRIPLE, "along slices, rows, columns; 0 keeps an axis", MM, required=True, low=0
            ),
            INTERPOLATION,
        ),
    ),
    Step(
        "resize",
        Family.GEOMETRY,
        geometry.resize,
        "s' = s·n/n'; x = (n−1)/2 + (x' − (n'−1)/2)·n/n'; the edge is repeated",
        (SHAPE, INTERPOLATION),
    ),
    Step("crop", Family.GEOMETRY, geometry.crop, "x = x' + before", (BEFORE, AFTER)),
    Step(
        "crop-to-square",
        Family.GEOMETRY,
        geometry.crop_to_square,
        "the middle min(rows, columns) of rows and columns; of an odd number the last is cut",
    ),
    Step("pad", Family.GEOMETRY, geometry.pad, "x = x' − before", (BEFORE, AFTER, FILL)),
    Step(
        "fit",
        Family.GEOMETRY,
        geometry.fit,
        "cut or padded at both ends alike; of an odd number the last is cut or added at the end",
        (SHAPE, FILL),
    ),
    Step(
        "pad-to",
        Family.GEOMETRY,
        geometry.pad_to,
        "n' = ⌈max(n, least)/multiple⌉·multiple, padded at both ends alike",
        (
            Parameter("least", Form.COUNTS, "along each axis", VOXELS, default=(1, 1, 1), low=1, high=LONGEST_SIDE),
            Parameter(
                "multiple",
                Form.COUNTS,
                "each axis becomes a multiple of it",
                VOXELS,
                default=(1, 1, 1),
                low=1,
                high=LONGEST_SIDE,
            ),
            FILL,
        ),
    ),
    Step(
        "crop-to-foreground",
        Family.GEOMETRY,
        geometry.crop_to_foreground,
        "the box of {v > above} with its margin",
        (Parameter("above", Form.NUMBER, "values above it are foreground", VALUE, default=0.0), MARGIN),
    ),
    Step(
        "crop-to-body",
        Family.GEOMETRY,
        geometry.crop_to_body,
        "the box of the largest piece of {v > above_hu}, eroded by one voxel of a grid of at most 128–255 along each "
        "axis so that the table falls off, with that voxel and its margin",
        (Parameter("above_hu", Form.NUMBER, "body is denser", "HU", default=-250.0), MARGIN),
    ),
    Step(
        "centre",
        Family.GEOMETRY,
        geometry.centre,
        "cut or padded so that the centroid of {v > above} lies in the middle, by whole voxels",
        (SHAPE, Parameter("above", Form.NUMBER, "values above it count", VALUE, default=0.0), FILL),
    ),
    Step(
        "match",
        Family.GEOMETRY,
        geometry.match,
        "x = A⁻¹·A_to·x', with the affines A (index to patient, LPS) of this and the other input",
        (TO, INTERPOLATION, FILL),
    ),
    Step(
        "register",
        Family.GEOMETRY,
        registration.register,
        "x = A⁻¹·T·A_to·x', T the motion of highest mutual information (Mattes 2003, DOI 10.1109/TMI.2003.809072) from "
        "aligned middles, over three resolutions",
        (
            TO,
            Parameter("kind", Form.TEXT, "the motions that are allowed", default="rigid", choices=registration.KINDS),
            Parameter("iterations", Form.WHOLE, "at most, at each resolution", default=100, low=1, high=10000),
            INTERPOLATION,
            FILL,
        ),
    ),
)

INTENSITY = (
    Step(
        "window",
        Family.INTENSITY,
        of_values(intensity.window),
        "v' = out_low + (clip(v, low, high) − low)·(out_high − out_low)/(high − low)",
        (
            Parameter("low", Form.NUMBER, "lower end (HU in CT)", VALUE, required=True),
            Parameter("high", Form.NUMBER, "upper end (HU in CT)", VALUE, required=True, above="low"),
            OUT_LOW,
            OUT_HIGH,
        ),
    ),
    Step(
        "clip",
        Family.INTENSITY,
        of_values(intensity.clip),
        "v' = min(max(v, low), high)",
        (
            Parameter("low", Form.NUMBER, "lower end", VALUE, required=True),
            Parameter("high", Form.NUMBER, "upper end", VALUE, required=True, above="low"),
        ),
    ),
    Step(
        "scale",
        Family.INTENSITY,
        of_values(intensity.scale),
        "v' = gain·v + offset",
        (
            Parameter("gain", Form.NUMBER, "factor", default=1.0),
            Parameter("offset", Form.NUMBER, "added afterwards", VALUE, default=0.0),
        ),
    ),
    Step(
        "log",
        Family.INTENSITY,
        of_values(intensity.log),
        "v' = ln(max(v + offset, the smallest v + offset above 0))",
        (Parameter("offset", Form.NUMBER, "added first", VALUE, default=0.0),),
    ),
    Step(
        "gamma",
        Family.INTENSITY,
        of_values(intensity.gamma),
        "v' = min + (max − min)·((v − min)/(max − min))^exponent",
        (Parameter("exponent", Form.NUMBER, "below 1 brightens", required=True, low=0.01, high=100),),
    ),
    Step(
        "z-score",
        Family.INTENSITY,
        of_values(intensity.z_score),
        "v' = (v − μ)/σ, σ over all n voxels (not n − 1)",
        (
            Parameter("mean", Form.NUMBER, "μ; left out: of this image", VALUE),
            Parameter("deviation", Form.NUMBER, "σ; left out: of this image", VALUE, low=1e-12),
            Parameter("above", Form.NUMBER, "only voxels above it decide μ and σ; left out: all", VALUE),
        ),
    ),
    Step(
        "min-max",
        Family.INTENSITY,
        of_values(intensity.min_max),
        "v' = out_low + (v − min)·(out_high − out_low)/(max − min)",
        (OUT_LOW, OUT_HIGH),
    ),
    Step(
        "percentile",
        Family.INTENSITY,
        of_values(intensity.percentile),
        "`window` from P(low) to P(high), interpolated linearly between ranks",
        (
            Parameter("low", Form.NUMBER, "lower percentile", "%", default=0.5, low=0, high=100),
            Parameter("high", Form.NUMBER, "upper percentile", "%", default=99.5, low=0, high=100, above="low"),
            OUT_LOW,
            OUT_HIGH,
        ),
    ),
    Step(
        "equalise",
        Family.INTENSITY,
        of_values(intensity.equalise),
        "v' = share of voxels at or below v, linear within a bin of the histogram",
        (Parameter("bins", Form.WHOLE, "bins from min to max", default=256, low=2, high=65536),),
    ),
    Step(
        "clahe",
        Family.INTENSITY,
        of_values(intensity.clahe),
        "adaptive equalisation (Stark 2000, DOI 10.1109/83.841534) in a window of 2·radius + 1, computed on v mapped "
        "to 0…1; the result is in v's own range",
        (
            Parameter("radius", Form.COUNTS, "of the window", VOXELS, default=(5, 5, 5), low=0, high=100),
            Parameter("alpha", Form.NUMBER, "0: classical equalisation, 1: unsharp mask", default=0.3, low=0, high=1),
            Parameter("beta", Form.NUMBER, "0: unsharp mask, 1: none", default=0.3, low=0, high=1),
        ),
    ),
    Step(
        "match-histogram",
        Family.INTENSITY,
        intensity.match_histogram,
        "piecewise linear between quantiles (Nyúl and Udupa 2000, DOI 10.1109/42.836373)",
        (
            TO,
            Parameter("levels", Form.WHOLE, "bins of the histograms", default=256, low=2, high=65536),
            Parameter("points", Form.WHOLE, "quantiles that are matched", default=15, low=1, high=1000),
            Parameter("above_mean", Form.FLAG, "only voxels above the mean count", default=False),
        ),
    ),
    Step(
        "monochrome1",
        Family.INTENSITY,
        of_values(intensity.monochrome1),
        "v' = min + max − v. Radiographs reach a model with high bright, however they were stored: this is for one "
        "that was trained on MONOCHROME1",
    ),
    Step(
        "suv",
        Family.INTENSITY,
        intensity.suv,
        "v' = v·weight/(dose·2^(−Δt/T½)), g/mL, from the header; refused where it does not say",
    ),
)

PREPARATION: Table = table(*GEOMETRY, *INTENSITY, *FILTERS, *SEGMENTATION)
