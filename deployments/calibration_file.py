"""A calibration file becomes a Calibration, or a list of all that is wrong with it; and the other
way round.
"""

from pathlib import Path

import yaml
from pydantic import ValidationError

from cluster.problem import Problem
from deployments.calibration import Batch, Cache, Calibration, Decode, Prefill, Spread
from deployments.errors import CalibrationInvalid
from deployments.schema import Schemas, schema_problems
from deployments.yaml_text import Document, read, read_file

#: Those that come with Flotilla.
DIRECTORY = Path(__file__).parent / "calibrations"
SCHEMAS: Schemas = {
    "": Calibration,
    "overhead": Spread,
    "start": Spread,
    "seconds": Spread,
    "prefill": Prefill,
    "decode": Decode,
    "long_decode": Decode,
    "cache": Cache,
    "batch": Batch,
}


def load_calibration(path: Path) -> Calibration:
    """Reads a calibration file. Raises CalibrationInvalid."""
    return _calibration(read_file(path))


def parse_calibration(raw: bytes, file: str) -> Calibration:
    """Reads a calibration. Raises CalibrationInvalid."""
    return _calibration(read(raw, file))


def committed_calibrations() -> tuple[Calibration, ...]:
    """Those that come with Flotilla. Raises CalibrationInvalid."""
    return tuple(load_calibration(path) for path in sorted(DIRECTORY.glob("*.yaml")))


def calibration_text(calibration: Calibration) -> str:
    """As `load_calibration` reads it."""
    said = calibration.model_dump(mode="json", exclude_defaults=True)
    return yaml.safe_dump(said, sort_keys=False, default_flow_style=None, width=110)


def _calibration(document: Document) -> Calibration:
    if document.problems:
        raise CalibrationInvalid(document.problems)
    if not isinstance(document.value, dict):
        found = Problem((), "is not a calibration: `flotilla calibrate` makes one")
        raise CalibrationInvalid(document.placed([found]))
    try:
        return Calibration.model_validate(document.value)
    except ValidationError as error:
        raise CalibrationInvalid(document.placed(schema_problems(error, SCHEMAS))) from None
