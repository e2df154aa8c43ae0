"""How long does a look-up of the nearest examples take, and how exact is it? ``python -m tests.bench.neighbours``.

Texts come in families of similar ones, short or long; a file with a text per line can be given instead. The truth is
the exact cosine over all trigrams (``tests.test_forms_similarity``).
"""

import random
import sys
import time
import tracemalloc
from pathlib import Path

from gateway.forms.similarity import SimilarityIndex
from tests.test_forms_similarity import exact

LOOK_UPS = 40


def texts(count: int, words: int, seed: int) -> list[str]:
    """Return texts in families of ten: each has a third of its words changed, as the requests of a task differ."""
    randomness = random.Random(seed)
    letters = "aeiounrstldm"
    known = ["".join(randomness.choices(letters, k=randomness.randint(2, 9))) for _ in range(4000)]
    weights = [1 / (place + 1) for place in range(len(known))]  # as in languages: a few words often, most seldom
    families = [randomness.choices(known, weights, k=words) for _ in range(count // 10)]
    made = []
    for _ in range(count):
        others = randomness.choices(known, weights, k=words)
        pairs = zip(randomness.choice(families), others, strict=True)
        made.append(" ".join(own if randomness.random() > 1 / 3 else other for own, other in pairs))
    return made


def measure(name: str, examples: list[str], questions: list[str]) -> None:
    """Print time, memory and exactness of an index."""
    tracemalloc.start()
    index = SimilarityIndex(examples)
    memory = tracemalloc.get_traced_memory()[0] / 1e6
    tracemalloc.stop()
    began = time.process_time()
    SimilarityIndex(examples)
    built = time.process_time() - began
    times, hits = [], 0
    for question in questions:
        times.append(min(_milliseconds(index, question) for _ in range(9)))
        hits += len(set(index.nearest(question, 4)) & set(exact(examples, question, 4)))
    times.sort()
    print(  # noqa: T201
        f"{name}: {len(examples)} examples of {sum(map(len, examples)) / len(examples):.0f} characters, built in"
        f" {built:.1f} s of one core, {memory:.0f} MB; look-up median {times[len(times) // 2]:.2f} ms, 95%"
        f" {times[int(len(times) * 0.95)]:.2f} ms; {hits / 4 / len(questions):.0%} of the true neighbours"
    )


def _milliseconds(index: SimilarityIndex, question: str) -> float:
    """Milliseconds of one core: a look-up never waits."""
    began = time.thread_time()
    index.nearest(question, 4)
    return (time.thread_time() - began) * 1000


def main(file: str | None = None) -> None:
    if file is not None:
        lines = Path(file).read_text(encoding="utf-8").splitlines()
        random.Random(1).shuffle(lines)
        measure(Path(file).name, lines[LOOK_UPS : 5000 + LOOK_UPS], lines[:LOOK_UPS])
        return
    for name, words in (("short", 9), ("long", 60)):
        made = texts(5000 + LOOK_UPS, words, seed=1)
        measure(name, made[LOOK_UPS:], made[:LOOK_UPS])


if __name__ == "__main__":
    main(*sys.argv[1:])
