"""How well are the kinds of a log found? Generated traffic of known kinds in four languages, and of agents.

``python -m tests.bench.live.discovery`` prints a table. Purity: the share of requests in a group of mostly their own
kind (1: no group mixes kinds). Inverse purity: the share of requests of a kind in its largest group (1: no kind is in
pieces). Both are means over the seeds. With ``--catalogues DIRECTORY`` the documents in the prompts are real sentences:
the translated messages of the programs on this machine.
"""

import argparse
import gettext
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from random import Random

from gateway.domain import Exchange
from optimizer.discovery.groups import groups
from tests import languages
from tests.unclaimed import KINDS, exchange, traffic

_CATALOGUES = {"chinese": "zh_CN", "japanese": "ja", "thai": "th"}


def purity(labels: Sequence[Hashable], parts: Sequence[Hashable]) -> float:
    """Return the share of members whose part holds mostly members of their label."""
    by_part: dict[Hashable, Counter[Hashable]] = {}
    for label, part in zip(labels, parts, strict=True):
        by_part.setdefault(part, Counter())[label] += 1
    return sum(max(counts.values()) for counts in by_part.values()) / len(labels)


def _agents(size: int, seed: int) -> tuple[list[str], list[Exchange]]:
    labels, bodies = languages.agent_traffic(size, seed)
    return labels, [exchange(number, body) for number, body in enumerate(bodies)]


def _sentences(directory: Path, language: str) -> list[str]:
    """Return the messages of all catalogues of a language that are longer than a label."""
    messages: set[str] = set()
    for file in sorted((directory / _CATALOGUES[language] / "LC_MESSAGES").glob("*.mo")):
        with file.open("rb") as opened:
            catalogue = vars(gettext.GNUTranslations(opened))["_catalog"]
        messages.update(text for key, text in catalogue.items() if key and isinstance(text, str) and len(text) > 12)
    return sorted(messages)


def use_catalogues(directory: Path) -> None:
    """Let documents be real sentences."""
    sentences = {language: _sentences(directory, language) for language in _CATALOGUES}

    def document(random: Random, language: str, words: int = 60) -> str:
        return " ".join(random.choice(sentences[language]) for _ in range(words // 10))

    languages.document = document


def _row(name: str, made: Callable[[int, int], tuple[list[str], list[Exchange]]], size: int, seeds: int) -> str:
    results = []
    for seed in range(1, seeds + 1):
        labels, exchanges = made(size, seed)
        began = time.perf_counter()
        kinds = groups(exchanges)
        seconds = time.perf_counter() - began
        group_of = {member.id: kind.id for kind in kinds for member, _ in kind.members}
        parts = [group_of[member.id] for member in exchanges]
        results.append((len(set(labels)), len(kinds), purity(labels, parts), purity(parts, labels), seconds))
    expected, actual, pure, whole, took = (statistics.fmean(column) for column in zip(*results, strict=True))
    return f"| {name} | {size:,} | {expected:.1f} | {actual:.1f} | {pure:.3f} | {whole:.3f} | {took:.1f} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="100,1000", help="requests in a log, separated by commas")
    parser.add_argument("--seeds", type=int, default=10, help="logs per row")
    parser.add_argument("--catalogues", type=Path, help="directory of translated messages, such as /usr/share/locale")
    options = parser.parse_args()
    if options.catalogues is not None:
        use_catalogues(options.catalogues)
    sys.stdout.write("| traffic | requests | kinds | groups | purity | inverse purity | seconds |\n")
    sys.stdout.write("|---|---|---|---|---|---|---|\n")
    makers: dict[str, Callable[[int, int], tuple[list[str], list[Exchange]]]] = {
        "english": lambda size, seed: traffic(KINDS, size, seed),
        **{
            name: lambda size, seed, kinds=kinds: traffic(kinds, size, seed)  # type: ignore[misc]
            for name, kinds in languages.LANGUAGES.items()
        },
        "agents": _agents,
    }
    for size in map(int, options.sizes.split(",")):
        for name, made in makers.items():
            sys.stdout.write(_row(name, made, size, options.seeds) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
