"""The document: self-contained, without scripts, and safe whatever stands in it."""

import re

import msgspec
import pytest

from optimizer.distillation.outcome import Outcome
from optimizer.report.distilled import distilled
from optimizer.report.markup import seen
from optimizer.report.migrated import migrated
from optimizer.report.page import page
from tests.reports import FACTS, HOSTILE, RULE, migration, outcome
from tests.test_optimizer_report_markup import Read

PAGES = {
    "migration": lambda: page(migrated(migration(), FACTS)),
    "references": lambda: page(migrated(migration(references=9, prices=False), FACTS)),
    "distillation": lambda: page(distilled(outcome(), FACTS)),
    "nothing": lambda: page(distilled(Outcome(task="sums", note="nothing"), ())),
}
OURS = (
    " html head meta style title body main section h1 h2 p small div table caption thead tbody tr th td figure"
    " figcaption svg desc text line circle rect ol li article dl dt dd bdi "
)


@pytest.mark.parametrize("name", PAGES)
def test_no_text_becomes_markup(name: str) -> None:
    """Only the elements that we write are there, and no attribute that runs anything."""
    text = PAGES[name]()
    assert not [tag for tag in Read(text).tags if f" {tag} " not in OURS]
    assert not re.search(r"<[^>]*\s(?:on\w+|href|src|style)\s*=", text)


@pytest.mark.parametrize("name", PAGES)
def test_the_page_loads_nothing(name: str) -> None:
    """No address, no script; and a policy that forbids both."""
    text = PAGES[name]()
    assert "default-src &#x27;none&#x27;" in text or "default-src 'none'" in text
    assert "url(" not in text and "@import" not in text and "<script" not in text


def test_what_was_written_can_be_read() -> None:
    """Rules, examples, refusals and facts, whatever they hold."""
    words = "".join(Read(PAGES["migration"]()).words)
    for text in (RULE.text, RULE.reason, f"0 {HOSTILE}", f"weak + rules {HOSTILE}", f"preceptor migrate {HOSTILE}"):
        assert seen(text) in words


def test_a_long_text_is_cut_in_the_middle() -> None:
    """A model that loops does not make the page unreadable, and the cut is told."""
    long = msgspec.structs.replace(outcome(), rules=(msgspec.structs.replace(RULE, text="a" * 50_000, reason=""),))
    text = page(distilled(long, FACTS))
    assert "48,000 characters left out" in text and len(text) < 60_000


def test_the_same_report_is_the_same_page() -> None:
    """Nothing in it depends on when or where it is written."""
    assert PAGES["migration"]() == PAGES["migration"]()
