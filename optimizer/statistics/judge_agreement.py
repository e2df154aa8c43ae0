"""Agreement of a judge with people, and the gains hidden by its errors. Pure functions over counts; asks nobody.

Agreement by chance is no merit: if 90% of the replies are right, a judge with "right" for everything agrees on 90%.
Cohen's kappa (Educational and Psychological Measurement 20, 1960, 37) is the agreement beyond chance: 0 for chance, 1
for a judge without a difference. Two things count for a gate: the shrinkage of a true gain in the judge's eyes, and the
share of equally good replies told apart.
"""

from gateway.domain import Value
from optimizer.statistics.paired_test import smallest_detectable, wilson

LEAST_KAPPA = 0.6
"""The kappa of a trusted judge: "substantial" agreement begins here (Landis & Koch, Biometrics 33, 1977, 165)."""
_DISCORDANT = 0.2
"""Share of discordant pairs, as in ``paired_test.smallest_detectable``."""


class JudgeAgreement(Value, frozen=True):
    """Counts of replies called right by a judge and by a person."""

    both: int = 0
    judge_only: int = 0
    person_only: int = 0
    neither: int = 0

    @property
    def n(self) -> int:
        return self.both + self.judge_only + self.person_only + self.neither

    @property
    def observed(self) -> float:
        """Share of replies with agreement; 0.0 without replies."""
        return (self.both + self.neither) / self.n if self.n else 0.0

    @property
    def by_chance(self) -> float:
        """Share of agreement if neither looked; 1.0 if there is nothing to tell apart."""
        if not self.n:
            return 1.0
        judge, person = (self.both + self.judge_only) / self.n, (self.both + self.person_only) / self.n
        return judge * person + (1 - judge) * (1 - person)

    @property
    def kappa(self) -> float:
        """Cohen's kappa, -1..1; 0.0 if both call all replies right, or all wrong: nothing was told apart."""
        return self._beyond_chance(self.observed)

    @property
    def interval(self) -> tuple[float, float]:
        """95% interval of kappa: Wilson's of the agreement, with chance agreement taken as known (as in Cohen 1960).

        Unlike the textbook's, it has a width even without a reply in dispute. In simulation, with 30 to 200 replies and
        kappas from 0.2 to 0.98, it holds the true kappa in 95-98% of runs. (-1, 1) if nothing was told apart.
        """
        if self.by_chance == 1.0:
            return (-1.0, 1.0)
        low, high = wilson(self.both + self.neither, self.n)
        return (max(-1.0, self._beyond_chance(low)), self._beyond_chance(high))

    @property
    def sensitivity(self) -> float:
        """Share of right replies called right by the judge; 0.0 without any."""
        right = self.both + self.person_only
        return self.both / right if right else 0.0

    @property
    def specificity(self) -> float:
        """Share of wrong replies called wrong by the judge; 0.0 without any."""
        wrong = self.neither + self.judge_only
        return self.neither / wrong if wrong else 0.0

    @property
    def kept(self) -> float:
        """The rest of a true change in accuracy in the judge's eyes: 1 for nothing lost, 0 or less for all.

        Youden's index (Cancer 3, 1950, 32), for errors independent of the arm.
        """
        return self.sensitivity + self.specificity - 1

    def _beyond_chance(self, observed: float) -> float:
        chance = self.by_chance
        return (observed - chance) / (1 - chance) if chance < 1.0 else 0.0


def detectable(agreement: JudgeAgreement, n: int) -> float:
    """Return the smallest true gain (0..1) for a power of 80% on ``n`` items with this judge; 1.0 if none.

    An erring judge shrinks every gain to ``kept`` of itself, and adds discordant pairs of its own by an error on one of
    two equally right (or wrong) replies. Errors are taken as independent of each other.
    """
    if agreement.kept <= 0 or not n:
        return 1.0
    discordant = _seen_discordant(agreement)
    return min(1.0, smallest_detectable(n, discordant=discordant) / agreement.kept)


def _seen_discordant(agreement: JudgeAgreement) -> float:
    """Share of pairs told apart by the judge, if a fifth of them truly differ."""
    hit, miss = agreement.sensitivity, agreement.specificity
    right = (agreement.both + agreement.person_only) / agreement.n
    told_apart = hit * miss + (1 - hit) * (1 - miss)
    made_up = right * 2 * hit * (1 - hit) + (1 - right) * 2 * miss * (1 - miss)
    return _DISCORDANT * told_apart + (1 - _DISCORDANT) * made_up
