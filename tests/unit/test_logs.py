"""What processes that share one stream write to it stays apart."""

import io

import structlog

from node.logs import configure_logs


class Calls(io.StringIO):
    """A stream that is written through, as standard error of the node's processes is; remembers each call."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[str] = []

    def write(self, text: str) -> int:
        self.written.append(text)
        return len(text)


def test_a_line_is_written_in_one_call() -> None:
    """Else those of two processes run together, and whoever reads JSON lines can read neither."""
    stream = Calls()
    configure_logs("info", role="service", to=stream)
    try:
        structlog.get_logger().info("one", study="s1")
    finally:
        structlog.reset_defaults()

    assert len(stream.written) == 1
    assert stream.written[0].startswith("{")
    assert stream.written[0].endswith("}\n")
