"""The document: one self-contained page without a script, for a screen, a phone and paper."""

import base64
import hashlib
from collections.abc import Iterable
from importlib import resources

from optimizer.report import charts
from optimizer.report.markup import Child, Html, document, element
from optimizer.report.view import Candidate, Changed, ExampleSection, Fact, Report, RuleLine

_SHOWN = 2000
"""Most characters of a text; a longer text is cut in the middle."""


def page(report: Report) -> str:
    """Write the report as HTML."""
    style = resources.files("optimizer.report").joinpath("style.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    head = [
        element("meta", charset="utf-8"),
        # Whatever might slip in, the page loads nothing and runs nothing.
        element(
            "meta", http_equiv="Content-Security-Policy", content=f"default-src 'none'; style-src 'sha256-{digest}'"
        ),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", report.title),
    ]
    body = element(
        "main",
        element("h1", report.title),
        element("p", report.answer, class_="answer"),
        [element("p", note, class_="note") for note in report.notes],
        _arms(report),
        _facts("What was asked", report.verdicts),
        _rules(report.rules, report.form),
        [_block(block) for block in report.blocks],
        _tried(report.tried),
        _refused(report.refused),
        _facts("How it was measured", report.facts),
    )
    return document(head, body, style=style)


def _arms(report: Report) -> Html | None:
    if not report.columns:
        return None
    table = element(
        "table",
        element("caption", "The arms side by side"),
        element(
            "thead",
            element(
                "tr",
                element("td"),
                [
                    element("th", column.title, element("small", column.subtitle), scope="col", class_=column.kind)
                    for column in report.columns
                ],
            ),
        ),
        element(
            "tbody",
            [
                element(
                    "tr",
                    element("th", measure, scope="row"),
                    [element("td", column.cells[row]) for column in report.columns],
                )
                for row, measure in enumerate(report.measures)
            ],
        ),
        class_="arms",
    )
    return _section(
        "Side by side",
        element("div", table, class_="wide"),
        element(
            "div",
            _figure("Right, with 95% intervals", charts.intervals("Right, with 95% intervals", report.quality)),
            _figure("Tokens per call", charts.bars("Tokens per call", report.tokens)),
            _figure("Cost per 1,000 calls", charts.bars("Cost per 1,000 calls", report.money))
            if report.money
            else None,
            class_="figures",
        ),
    )


def _rules(rules: Iterable[RuleLine], form: str) -> Html:
    lines = [
        element(
            "li",
            element("p", _text(rule.text), class_="rule"),
            element("p", "Why: ", _text(rule.reason)) if rule.reason else None,
            element("p", "Evidence: ", rule.evidence) if rule.evidence else None,
            element("p", "Measured effect: ", rule.effect),
        )
        for rule in rules
    ]
    listing = element("ol", lines, class_="rules") if lines else element("p", "No rule was put to the gate.")
    return _section("The rules", element("p", f"Form: {form}.") if lines else None, listing)


def _block(block: ExampleSection) -> Html | None:
    if not block.examples:
        return None
    shown = len(block.examples)
    more = f"{shown} of {block.count}" if shown < block.count else f"{block.count}"
    return _section(f"{block.title} ({more})", [_example(example) for example in block.examples])


def _example(example: Changed) -> Html:
    return element(
        "article",
        element("p", _text(example.input), class_="input"),
        element(
            "dl",
            element("div", element("dt", "expected"), element("dd", _text(example.expected))),
            [
                element(
                    "div",
                    element("dt", reply.who, element("small", "right" if reply.right else "wrong")),
                    element("dd", _text(reply.text)),
                    class_="right" if reply.right else "wrong",
                )
                for reply in example.replies
            ],
        ),
    )


def _tried(tried: tuple[Candidate, ...]) -> Html | None:
    if not tried:
        return None
    title = "Quality against tokens of everything that was tried"
    return _section(
        "What was tried",
        element(
            "p",
            "Measured on the examples that rank candidates: the best of several looks better here than it is. The line"
            " joins the candidates that no other beats in both quality and tokens.",
        ),
        _figure(title, charts.plane(title, [candidate.point for candidate in tried])),
        element(
            "div",
            _rows(
                ("no.", "rule set", "right", "examples", "tokens per call"),
                [
                    (
                        candidate.point.label, candidate.what, f"{candidate.point.quality:.0%}",
                        f"{candidate.examples}", f"{candidate.point.tokens:,.0f}",
                    )
                    for candidate in tried
                ],
            ),
            class_="wide",
        ),
    )  # fmt: skip


def _refused(refused: tuple[Fact, ...]) -> Html | None:
    if not refused:
        return None
    rows = [(_text(what), _text(why)) for what, why in refused]
    return _section("What was not taken, and why", element("div", _rows(("what", "why"), rows), class_="wide"))


def _facts(title: str, facts: tuple[Fact, ...]) -> Html:
    return _section(
        title,
        element(
            "dl",
            [element("div", element("dt", name), element("dd", value)) for name, value in facts],
            class_="facts",
        ),
    )


def _rows(heads: tuple[str, ...], rows: Iterable[tuple[Child, ...]]) -> Html:
    return element(
        "table",
        element("thead", element("tr", [element("th", head, scope="col") for head in heads])),
        element("tbody", [element("tr", [element("td", cell) for cell in row]) for row in rows]),
    )


def _section(title: str, *children: Child) -> Html:
    return element("section", element("h2", title), *children)


def _figure(title: str, chart: Html) -> Html:
    return element("figure", element("figcaption", title), chart)


def _text(text: str) -> Html:
    """Show a text by a model or a user, isolated so that its direction and its lines stay its own."""
    if len(text) > _SHOWN:
        half = _SHOWN // 2
        text = f"{text[:half]}\n[{len(text) - _SHOWN:,} characters left out]\n{text[-half:]}"
    return element("bdi", text or "(empty)", class_="said", dir="auto")
