"""The demos' configurations and problems."""

from pathlib import Path

from gateway.settings import load
from optimizer.demo.contract import Scenario
from optimizer.demo.scenarios import scripted_tickets, spoken_phrases, word_problems


def scenarios(folder: Path) -> tuple[Scenario, ...]:
    return (
        spoken_phrases(folder, "weak", "strong", 20),
        word_problems(folder, "m", 20),
        scripted_tickets(folder, "http://127.0.0.1:9/v1"),
    )


def test_configurations_are_valid_and_have_one_task(tmp_path: Path) -> None:
    """The clients' model name recognises it."""
    for scenario in scenarios(tmp_path):
        file = tmp_path / "preceptor.toml"
        file.write_text(scenario.config)
        assert set(load(file).tasks) == {scenario.task}


def test_measured_problems_are_no_part_of_the_workload(tmp_path: Path) -> None:
    """Nothing is learnt from them."""
    for scenario in scenarios(tmp_path):
        measured, workload = ({problem.question for problem in part} for part in (scenario.measured, scenario.workload))
        assert measured and workload and not measured & workload
