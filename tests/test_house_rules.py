"""The habits of this house, as tests. Each failure says what to do; each exception has its reason in a table."""

import ast
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs import compatibility, configuration
from gateway.app import build_app
from tests.fakes import services, settings
from tests.structure import PACKAGES, ROOT, modules, tree

LINES_WANTED, LINES_ALLOWED = 300, 350

NO_TWIN = {
    # module, or folder of modules: who tests it instead, and why
    "gateway/settings/base.py": "this file: it holds what a description is, and every setting must have one",
    "gateway/settings/sections.py": "tests/test_settings_load.py: a section is only ever made by reading a file",
    "gateway/settings/server.py": "the same",
    "gateway/settings/tracing.py": "tests/test_metrics_spans.py: a gateway is configured there",
    "gateway/settings/log.py": "tests/test_metrics_request_log.py: what it switches is seen there",
    "optimizer/demo/report.py": "tests/test_optimizer_demo_play.py: it tells what a play was, and that test has one",
    "optimizer/scheduling/process/child.py": "its parent's test: a real child is started there",
    "optimizer/scheduling/process/work.py": "the same: it is what a real child does",
    "gateway/upstream/base.py": "test_optimizer_scheduling_process_line.py: a whole reply was sent by somebody else",
    "gateway/store/memory_listings.py": "tests/test_store_sql_listings.py: both stores list the same",
    "gateway/store/memory_rules.py": "tests/test_store_base.py: the contract of every store",
    "gateway/store/migrations": "tests/test_store_sql.py: a migration is only ever run by the store that it prepares",
}

READS_ENVIRONMENT = {
    # module: why it may read the environment itself
    "gateway/settings/load.py": "the one reader; everybody else is given values",
}

MODULES = [path for package in PACKAGES for path in modules(package)]


def name(module: Path) -> str:
    """A module as people write it: its path from the root of the checkout."""
    return module.relative_to(ROOT).as_posix()


def twin(module: str) -> str:
    """The test file of a module: ``gateway/store/sql.py`` has ``tests/test_store_sql.py``.

    Gateway is the house, so its name is left out; the optimizer's stays (``tests/test_optimizer_plugin.py``). A package
    with code in its ``__init__.py`` has a twin under the package's own name.
    """
    parts = list(Path(module).with_suffix("").parts)
    if parts[-1] == "__init__":
        parts.pop()
    if parts[0] == "gateway" and len(parts) > 1:
        parts.pop(0)
    return f"tests/test_{'_'.join(part.strip('_') for part in parts)}.py"


def has_logic(module: ast.Module) -> bool:
    """Whether a module holds a function that does something: protocols, values and re-exports alone do not count."""
    functions = (node for node in ast.walk(module) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return any(
        not isinstance(line, ast.Expr | ast.Pass) or not isinstance(getattr(line, "value", None), ast.Constant)
        for function in functions
        for line in function.body
    )


def project_files() -> list[Path]:
    """Every text file that is, or would be, in a commit."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("this is not a git checkout, so it cannot be told which files belong to the project")
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout  # noqa: S603
    return [path for line in listed.split("\0") if line and (path := ROOT / line).is_file()]


def lines_matching(pattern: re.Pattern[str], files: list[Path]) -> Iterator[str]:
    for path in files:
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            if pattern.search(line):
                yield f"{name(path)}:{number}: {line.strip()[:100]}"


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_ships_its_types(package: str) -> None:
    """Type checkers read the annotations of a package only beside a file ``py.typed``; the wheel takes it along."""
    assert (ROOT / package / "py.typed").is_file(), f"add an empty file {package}/py.typed"


def test_a_module_is_one_noun_and_stays_small() -> None:
    """A module has about 300 lines at most, so that it can be read in one sitting."""
    lines = {name(module): len(module.read_text(encoding="utf-8").splitlines()) for module in MODULES}
    large = {module: count for module, count in lines.items() if count > LINES_ALLOWED}
    assert not large, (
        f"{large}: {LINES_WANTED} lines are wanted, {LINES_ALLOWED} allowed: find the second noun in the module and"
        " give it a module of its own"
    )


def test_a_module_says_why_it_exists() -> None:
    """A module starts with a docstring."""
    silent = [name(module) for module in MODULES if not ast.get_docstring(tree(module))]
    assert not silent, f"say in the first line why the module exists, and what it does not do: {silent}"


def test_a_name_says_what_a_thing_is() -> None:
    """No class is called Manager, Helper, Util, Service or Handler: such names fit anything."""
    vague = re.compile(r"(Managers?|Helpers?|Utils?|Service|Handlers?)(?![a-z])")
    names = [
        f"{name(module)}: {node.name}"
        for module in MODULES
        for node in ast.walk(tree(module))
        if isinstance(node, ast.ClassDef) and vague.search(node.name)
    ]
    assert not names, f"rename each after the noun that it is: {names}"


def test_a_module_with_logic_has_a_twin_test() -> None:
    """The tests of a module lie where its name says."""
    missing = [
        f"{name(module)}: {twin(name(module))}"
        for module in MODULES
        if not any(module.is_relative_to(ROOT / exempt) for exempt in NO_TWIN)
        and has_logic(tree(module))
        and not (ROOT / twin(name(module))).is_file()
    ]
    assert not missing, f"write the twin, or add the module to NO_TWIN with who tests it instead: {missing}"


def test_only_the_settings_read_the_environment() -> None:
    """Time, randomness and environment are passed in; ``os.environ`` is read in one place."""
    readers = {"environ", "environb", "getenv", "getenvb"}
    reading = [
        f"{name(module)}:{node.lineno}"
        for module in MODULES
        if name(module) not in READS_ENVIRONMENT
        for node in ast.walk(tree(module))
        if (isinstance(node, ast.Attribute) and node.attr in readers)
        or (isinstance(node, ast.ImportFrom) and node.module == "os" and readers & {alias.name for alias in node.names})
    ]
    assert not reading, (
        "add the value to gateway/settings and pass it in, or add the module to READS_ENVIRONMENT with the reason:"
        f" {reading}"
    )


@pytest.mark.parametrize("table", [NO_TWIN, READS_ENVIRONMENT], ids=["NO_TWIN", "READS_ENVIRONMENT"])
def test_an_exception_is_for_something_that_exists(table: dict[str, str]) -> None:
    """The tables of exceptions do not outlive the modules in them."""
    gone = [module for module in table if not (ROOT / module).exists()]
    assert not gone, f"take {gone} out of the table: there is no such module"


def test_an_exception_from_twins_is_still_needed() -> None:
    """A module that has its twin by now is no exception any more."""
    needless = [module for module in NO_TWIN if (ROOT / twin(module)).is_file()]
    assert not needless, f"take {needless} out of NO_TWIN: their twins exist"


def test_no_file_names_a_package_registry() -> None:
    """Where packages come from is the user's own setting: pip, uv and apt are called by package name only."""
    hosts = re.compile(r"\b(?:pypi|pythonhosted|npmjs|debian|docker|ghcr|quay)\.(?:org|com|io)\b")
    found = list(lines_matching(hosts, project_files()))
    assert not found, "name the package or the project instead of the registry's address:\n" + "\n".join(found)


def test_no_file_names_a_path_of_one_machine() -> None:
    """A checkout works wherever it lies."""
    paths = re.compile(r"""(?:^|[\s"'`(=:])/(?:work|root|Users|home/[a-z]\w*)/""")
    found = list(lines_matching(paths, project_files()))
    assert not found, "use a path relative to the checkout, or tmp_path:\n" + "\n".join(found)


def test_every_setting_is_documented() -> None:
    """Each field of each section of the configuration says what it means, with its unit."""
    assert not configuration.undocumented(), "give these settings a doc(...) in gateway/settings"


def test_the_configuration_reference_is_up_to_date() -> None:
    """``docs/configuration.md`` is what the settings say."""
    current = configuration.TARGET.read_text(encoding="utf-8")
    assert current == configuration.reference(), "run 'make docs' and commit docs/configuration.md"


def test_the_page_on_compatibility_is_up_to_date() -> None:
    """``docs/compatibility.md`` is what the code does."""
    current = compatibility.TARGET.read_text(encoding="utf-8")
    assert current == compatibility.page(), "run 'make docs' and commit docs/compatibility.md"


async def test_the_page_on_compatibility_knows_every_endpoint() -> None:
    """A route below ``/v1`` that is not in its table would be a secret."""
    told = " ".join(endpoint for endpoint, *_ in compatibility.ENDPOINTS)
    app = build_app(services(settings(), {}))
    routes = {*app.endpoints, *(route.path.partition("/{")[0] for route in app.rest.routes)}
    assert not [path for path in routes if path.startswith("/v1/") and path not in told]


def test_the_lock_files_name_no_address_and_hash_everything() -> None:
    """Every pinned dependency carries its hashes, and the files hold for any index."""
    for lock in ("requirements.lock", "requirements-dev.lock"):
        pins = re.split(r"^(?=[a-z0-9])", (ROOT / lock).read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
        assert pins, f"{lock} is empty: run 'make lock'"
        assert all("==" in pin and "--hash=sha256:" in pin and "://" not in pin for pin in pins), (
            f"run 'make lock': {lock}"
        )
