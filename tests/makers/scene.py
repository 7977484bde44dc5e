"""Books with a gathering that looks at them, and time turned by hand."""

from node.core.job import JobState
from node.core.model import ModelFacts
from node.core.study import Stack
from node.intake.gathering import Gathering, Rules
from node.intake.routes import compile_route
from node.settings import Configuration, NodeSettings, Peer, Route
from node.state import arrivals, schema, work
from tests.makers.ledger import Books, ct_slice

MODELS = {
    "lung-ct": ModelFacts("lung-ct", "1", "digest", (("ct", ("CT",)),)),
    "brain-mr": ModelFacts("brain-mr", "1", "digest", (("mr", ("MR",)),)),
}
PACS = Peer(name="pacs", ae_title="PACS", address="127.0.0.1", port=104)
SCANNER = Peer(name="scanner", ae_title="MR1", kind="scanner", roles=("source",))
ROUTE = Route(name="lungs", model="lung-ct", destinations=("pacs",), when="'CT' in study.modalities")


class Scene:
    """Books and a gathering that looks at them; `pending` and `open_associations` are set by the tests."""

    def __init__(self, found: Books, *routes: Route, settings: NodeSettings | None = None) -> None:
        self.books = found
        self.pending: set[str] = set()
        self.open_associations: set[str] = set()
        self.looks_at_associations = 0
        self.is_lacking = False
        configuration = Configuration(settings=settings or NodeSettings(), peers=(PACS, SCANNER), routes=routes)
        rules = Rules(configuration, [(one, compile_route(one, MODELS)) for one in routes], MODELS, "settings")
        self.gathering = Gathering(
            found.ledger,
            found.queue,
            rules,
            is_pending=lambda uid: uid in self.pending,
            open_associations=self._look_at_associations,
            clock=found.clock,
            steady=found.clock.steady,
            is_lacking=lambda _study: self.is_lacking,
        )

    def _look_at_associations(self) -> set[str]:
        self.looks_at_associations += 1
        return self.open_associations

    def jobs(self) -> list[work.JobRow]:
        with self.books.ledger.read() as connection:
            ids = connection.execute(schema.job.select().order_by(schema.job.c.created_at)).mappings().all()
            return [work.get_job(connection, one["id"]) for one in ids]

    def stack(self, job: work.JobRow) -> Stack:
        """What the input `ct` of a job gets."""
        with self.books.ledger.read() as connection:
            return work.inputs_of(connection, job.id)["ct"]

    def in_force(self) -> list[work.JobRow]:
        """Jobs that no later one superseded."""
        return [one for one in self.jobs() if one.state is not JobState.SUPERSEDED]

    def study(self) -> arrivals.StudyRow:
        with self.books.ledger.read() as connection:
            (row,) = connection.execute(schema.study.select()).mappings().all()
            return arrivals.get_study(connection, row["id"])

    def decisions(self) -> list[tuple[str, str]]:
        with self.books.ledger.read() as connection:
            rows = connection.execute(schema.decision.select().order_by(schema.decision.c.generation)).mappings()
            return [(one["verdict"], one["why"]) for one in rows]

    def history(self) -> list[str]:
        """Names of everything that happened, in order."""
        with self.books.ledger.read() as connection:
            return [one.name for one in connection.execute(schema.event.select().order_by(schema.event.c.id))]

    def arrive(self, *numbers: int, **changes: object) -> None:
        """CT slices of these numbers arrive now."""
        for number in numbers:
            self.books.arrive(ct_slice(number, **changes))

    def pass_time(self, **span: float) -> None:
        self.books.clock.forward(**span)
        self.gathering.look()

    def pass_quiet_time(self) -> None:
        self.pass_time(seconds=11)
