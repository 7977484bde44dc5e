"""Every step of post-processing: its name in a card, its parameters and what it computes."""

from ai.postprocessing import cleaning, decided
from ai.step import Family, Form, Parameter, Step, Table, table

LABELS = Parameter("labels", Form.WHOLES, "labels it is applied to; left out: all", low=1, high=255)

FINISHING: Table = table(
    Step(
        "argmax",
        Family.DECISION,
        decided.highest,
        "label = the channel with the highest score; channel 0 is background; on the images' grid, scores are "
        "interpolated linearly first",
    ),
    Step(
        "threshold",
        Family.DECISION,
        decided.reaching,
        "label n where p of channel n − 1 ≥ at_least, each channel for itself; on the images' grid, p is interpolated "
        "linearly first",
        (Parameter("at_least", Form.NUMBER, "a probability", default=0.5, low=1e-6, high=1),),
    ),
    Step(
        "largest-component",
        Family.CLEANING,
        cleaning.largest_component,
        "the largest pieces of each label, connected by faces",
        (LABELS, Parameter("count", Form.WHOLE, "pieces kept of each label", default=1, low=1)),
    ),
    Step(
        "minimum-size",
        Family.CLEANING,
        cleaning.minimum_size,
        "pieces of each label, connected by faces, of at least this size",
        (LABELS, Parameter("least_ml", Form.NUMBER, "smallest piece that is kept", "mL", required=True, low=0)),
    ),
    Step(
        "fill-holes",
        Family.CLEANING,
        cleaning.fill_holes,
        "background that no path through faces (edges in a slice) joins to the border becomes the label",
        (
            LABELS,
            Parameter(
                "within", Form.TEXT, "enclosed in 3D, or in a slice", default="volume", choices=("volume", "slices")
            ),
        ),
    ),
    Step(
        "smooth",
        Family.CLEANING,
        cleaning.smooth,
        "each label's region convolved with a Gaussian, from 0.5 on; other labels keep their voxels",
        (LABELS, Parameter("sigma_mm", Form.NUMBER, "of the Gaussian", "mm", required=True, low=0.01, high=100)),
    ),
    Step(
        "merge",
        Family.CLEANING,
        cleaning.merge,
        "labels become one",
        (
            Parameter("labels", Form.WHOLES, "labels that go", required=True, low=1, high=255),
            Parameter("into", Form.WHOLE, "the label they become", required=True, low=1, high=255),
        ),
    ),
)
