"""A file that was replaced is told from the one before, and one that goes meanwhile is no error."""

from collections.abc import Iterator
from pathlib import Path

from node.state.stamps import ABSENT, stamp_of, stamps_of_cards


def card(models: Path, name: str) -> Path:
    (models / name).mkdir()
    (models / name / "card.toml").write_text(name)
    return models / name / "card.toml"


def test_a_file_that_was_replaced_has_another_stamp(tmp_path: Path) -> None:
    one, other = card(tmp_path, "one"), card(tmp_path, "other")
    before = stamp_of(one)
    assert stamp_of(one) == before

    other.replace(one)

    assert ABSENT not in (before, stamp_of(one))
    assert stamp_of(one) != before
    assert stamp_of(other) == ABSENT


def test_cards_differ_where_a_model_came_or_went(tmp_path: Path) -> None:
    first = card(tmp_path, "first")
    before = stamps_of_cards(tmp_path)
    second = card(tmp_path, "second")
    assert stamps_of_cards(tmp_path) != before

    second.unlink()
    assert stamps_of_cards(tmp_path) == before

    first.unlink()
    assert stamps_of_cards(tmp_path) == ()


def test_a_card_that_goes_while_it_is_looked_at_counts_as_absent(tmp_path: Path) -> None:
    class Changing(type(tmp_path)):  # type: ignore[misc]
        """A folder of models whose cards go as soon as they were found."""

        def glob(self, pattern: str) -> Iterator[Path]:
            for found in [*super().glob(pattern)]:
                found.unlink()
                yield found

    gone = card(tmp_path, "gone")

    assert stamps_of_cards(Changing(tmp_path)) == ((gone, ABSENT),)
