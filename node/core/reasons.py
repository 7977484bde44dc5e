"""What a person can do about each reason for which a study was not analysed."""

from node.errors import ReasonCode

ADVICE: dict[ReasonCode, str] = {
    ReasonCode.NOT_AN_IMAGE: "The series holds no images; route another series to this model.",
    ReasonCode.NO_PIXELS: "The images carry no pixel data; send the series again from its source.",
    ReasonCode.UNDECODABLE: "The pixel data cannot be decoded; send the series again, uncompressed if possible.",
    ReasonCode.LOCALIZER: "Only a localizer was found; check that the diagnostic series is routed to the node.",
    ReasonCode.TOO_FEW_SLICES: "Too few slices for this model; check that the whole series was sent.",
    ReasonCode.NOT_A_VOLUME: "A clip, or images of one place over time, is no volume; route one, or single images.",
    ReasonCode.MIXED_ORIENTATION: "Slices of several orientations share one series; send the reconstruction alone.",
    ReasonCode.IRREGULAR_SPACING: "Slices are unevenly spaced, or say not where they lie; send an even reconstruction.",
    ReasonCode.MISSING_SLICES: "Slices are missing; send the series again.",
    ReasonCode.DUPLICATE_SLICES: "Several slices lie at one position; send one reconstruction at a time.",
    ReasonCode.GANTRY_TILT: "The gantry was tilted; send a reconstruction that is perpendicular to its slices.",
    ReasonCode.FRAME_OF_REFERENCE: "Slices belong to different frames of reference; send one acquisition.",
    ReasonCode.COVERAGE: "The scan covers too little for this model; route a series that covers the organ.",
    ReasonCode.MODALITY: "The model is for another modality; correct the route's condition.",
    ReasonCode.OUT_OF_DECLARED_LIMITS: "The images are outside what the model's card declares; see the card.",
    ReasonCode.IMAGE_QUALITY: "The images are too poor for this model; look at them, or ask for less (min_quality).",
    ReasonCode.OWN_RESULT: "This is a result of this node; stop the PACS from routing it back.",
    ReasonCode.TWO_PATIENTS: "Two patients share one Study Instance UID; correct it at the source.",
    ReasonCode.MODEL_REFUSED: "The model found the images unsuitable; its reason says why.",
    ReasonCode.MODEL_FAILED: "The model failed; retry the job, and report it with the job's log if it fails again.",
    ReasonCode.OUT_OF_MEMORY: "There was too little memory; give the worker more (jobs.decode_memory_mb, or the host).",
    ReasonCode.TIMEOUT: "It took longer than it may; retry the job, or raise timeout_s on the model's card.",
}
"""What a person can do about each. Total over ReasonCode: tests/unit/core/test_reasons.py."""
