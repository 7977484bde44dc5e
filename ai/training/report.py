"""An evaluation as a page and as JSON."""

from collections.abc import Mapping, Sequence

from ai.training.evaluation import Evaluation


def as_json(evaluation: Evaluation) -> dict[str, object]:
    """Everything, with the scores of each case."""
    return {
        "labels": [vars(one) for one in evaluation.scores],
        "confusion": {"labels": list(evaluation.names), "voxels": evaluation.counts.tolist()},
        "cases": [{"case": one.case, "dice": list(one.dice)} for one in evaluation.cases],
    }


def label_rows(evaluation: Evaluation) -> list[dict[str, object]]:
    """A row for each label."""
    return [
        {
            "label": one.label,
            "dice": f"{one.dice:.3f}",
            "sd": f"{one.dice_sd:.3f}",
            "least": f"{one.dice_least:.3f}",
            "precision": f"{one.precision:.3f}",
            "recall": f"{one.recall:.3f}",
        }
        for one in evaluation.scores
    ]


def confusion_rows(evaluation: Evaluation) -> list[dict[str, object]]:
    """A row for each true label: voxels by the label that was found."""
    return [
        {"true": name, **{f"found: {other}": int(count) for other, count in zip(evaluation.names, row, strict=True)}}
        for name, row in zip(evaluation.names, evaluation.counts, strict=True)
    ]


def page(title: str, parts: Mapping[str, Evaluation]) -> str:
    """A page in Markdown, a chapter for each part."""
    lines = [f"# {title}", ""]
    for name, one in parts.items():
        lines += [f"## {name}: {len(one.cases)} cases", "", *_table(label_rows(one)), ""]
        lines += ["Voxels, true labels in rows, found ones in columns:", "", *_table(confusion_rows(one)), ""]
    return "\n".join(lines)


def _table(rows: Sequence[Mapping[str, object]]) -> list[str]:
    heads = list(rows[0])
    return [
        f"| {' | '.join(heads)} |",
        "|" + "---|" * len(heads),
        *(f"| {' | '.join(str(row[head]) for head in heads)} |" for row in rows),
    ]
