"""The page of the table of bounds."""

from typing import Any

from render3d import report
from render3d.models.base import Recipe
from render3d.models.study.table import PAPER, Table, TableCase, differences, over_seeds
from render3d.models.training.evaluation import CONFIDENCE, Estimate

_MEASURES = {"total": "one sample of the latents", "tight": "importance-weighted"}


def table_report(name: str, recipe: Recipe, table: Table) -> str:
    """A whole page."""
    first = next(iter(table.values()))
    seeds, examples, samples = len(first), first[0].examples, first[0].samples
    lead = (
        f"{seeds} seeds, {recipe.training.updates} updates each, {examples} test examples; K = {samples} samples of "
        f"the latents in the importance-weighted bound; {CONFIDENCE:.0%} intervals over seeds by Student's t."
    )
    note = (
        "The paper states neither the sizes of its data, how long it trained, nor on which split and by how many "
        "samples its bounds are: trends can be compared with its figures, levels cannot."
    )
    return report.page(
        f"Bounds of {name}, by steps and views",
        lead,
        report.section("Bounds", report.paragraph(note), report.table(*_bounds(name, table))),
        report.section("Paired differences", report.table(*_changes(table))),
        report.section("Progress, first seed", _curves(table)),
        report.how_made(recipe.facts()),
    )


def _bounds(name: str, table: Table) -> tuple[tuple[str, ...], list[list[str]]]:
    heads = ("T", "views", *(f"nats, {what}" for what in _MEASURES.values()), "KL", "each seed", "minutes", "the paper")
    rows = []
    for case, found in table.items():
        intervals = [_plus_minus(over_seeds(found, measure)) for measure in _MEASURES]
        kl, minutes = f"{over_seeds(found, 'kl').mean:.1f}", f"{over_seeds(found, 'seconds').mean / 60:.1f}"
        each = ", ".join(f"{one.tight:.1f}" for one in found)
        rows.append([str(case.steps), str(case.views), *intervals, kl, each, minutes, _paper(name, case)])
    return heads, rows


def _changes(table: Table) -> tuple[tuple[str, ...], list[list[str]]]:
    by_measure = [differences(table, measure) for measure in _MEASURES]
    rows = [[pair, *(_plus_minus(changes[pair]) for changes in by_measure)] for pair in by_measure[0]]
    return ("", *(f"nats, {what}" for what in _MEASURES.values())), rows


def _curves(table: Table) -> report.Html:
    series = {
        case.name: ([step for step, _ in found[0].held_out], [nats for _, nats in found[0].held_out])
        for case, found in table.items()
    }
    return report.curves("Negative bound on validation data", x_label="updates", y_label="nats", series=series)


def table_metrics(table: Table) -> dict[str, Any]:
    """The same for a file of measures."""
    bounds = {
        case.name: {
            measure: over_seeds(found, measure).named("nats") | {"seeds": [getattr(one, measure) for one in found]}
            for measure in (*_MEASURES, "kl")
        }
        | {"samples": found[0].samples, "examples": found[0].examples, "seconds": [one.seconds for one in found]}
        for case, found in table.items()
    }
    changes = {
        measure: {pair: change.named("nats") for pair, change in differences(table, measure).items()}
        for measure in _MEASURES
    }
    return {"bounds": bounds, "differences": changes}


def _plus_minus(estimate: Estimate) -> str:
    return f"{estimate.mean:.1f} ± {estimate.high - estimate.mean:.1f}"


def _paper(name: str, case: TableCase) -> str:
    row = PAPER.get(name, {}).get(case.steps, ())
    return str(row[case.views]) if case.views < len(row) else "-"
