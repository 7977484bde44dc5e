"""How the ledger records a result object."""

from pathlib import Path

from pydicom.filereader import read_file_meta_info

from node.results.result import ResultObject
from node.state.rows import ResultRow


def result_row(one: ResultObject, job_id: str, run: int, home: Path, *, kind: str, position: int) -> ResultRow:
    """The row of an object whose file lies below `home`. position: its place in sending order."""
    return ResultRow(
        sop_uid=one.sop_instance_uid,
        job_id=job_id,
        run=run,
        kind=kind,
        series_uid=one.series_instance_uid,
        sop_class_uid=one.sop_class_uid,
        transfer_syntax_uid=str(read_file_meta_info(one.path).TransferSyntaxUID),
        path=str(one.path.relative_to(home)),
        position=position,
    )
