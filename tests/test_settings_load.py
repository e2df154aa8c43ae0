"""The configuration: every mistake at once, secrets kept, defaults that work."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.errors import ConfigurationError
from gateway.settings import (
    DEFAULT_FILE,
    Audit,
    ExactGrader,
    Optimizer,
    Quirks,
    RegexGrader,
    Server,
    Settings,
    child_environment,
    config_path,
    load,
    models_dir,
    ollama_address,
    parse,
    set_variables,
)
from gateway.settings.graders import JudgeGrader
from gateway.settings.upstreams import LlamaCppSettings, RemoteSettings

GOOD = """
[upstreams.mock]
kind = "openai"
base_url = "http://127.0.0.1:9/v1"
[models.small]
upstream = "mock"
model = "tiny-1b"
[tasks.sums]
weak = "small"
strong = "small"
"""


def settings(text: str = GOOD, **environment: str) -> Settings:
    return parse(text, source="test", environment=environment)


def key_of(made: Settings, name: str) -> str | None:
    """The key of a remote upstream."""
    section = made.upstreams[name]
    assert isinstance(section, RemoteSettings)
    return section.api_key


def mistakes(text: str, **environment: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        settings(text, **environment)
    return sorted(caught.value.mistakes)


def test_nothing_must_be_said() -> None:
    """An empty file is a configuration."""
    assert settings("") == Settings(server=Server(), optimizer=Optimizer())


def test_a_whole_configuration_is_read() -> None:
    """Every kind of value arrives as its type."""
    made = settings(
        GOOD.replace('strong = "small"', """strong = "small"
match = { model = "gpt", header = { x-team = "a" }, system_prompt = "(?i)sum" }
serve = "strong"
grader = { kind = "regex", pattern = "= (.*)" }
""") + '[server]\ndata_dir = "x/y"\ndefault_upstream = "mock"\n[optimizer]\nmargin = 0.1\n'
    )  # fmt: skip
    assert made.server.data_dir == Path("x/y")
    assert made.tasks["sums"].match.header == {"x-team": "a"}
    assert made.tasks["sums"].grader == RegexGrader(pattern="= (.*)")
    assert (made.tasks["sums"].serve, made.optimizer.margin, made.injection) == ("strong", 0.1, True)
    assert settings().tasks["sums"].grader == ExactGrader()


def test_a_pattern_that_would_backtrack_is_refused_with_the_way_out() -> None:
    """An expression meets replies: none may hold the learner for ever."""
    (mistake,) = mistakes(GOOD + 'grader = { kind = "regex", pattern = "(?<=answer: ).+" }\n')
    assert mistake.startswith("tasks.sums.grader.pattern: a regular expression with look-around")
    assert "into a group" in mistake


def test_every_mistake_is_said_at_once() -> None:
    """Wrong fields hide neither each other, nor names that point nowhere, nor addresses and expressions."""
    assert mistakes("""
        [server]
        prot = 3
        default_upstream = "mokc"
        [upstreams.mock]
        kind = "opnai"
        base_url = "ftp:/x"
        [upstreams.other]
        kind = "openai"
        threads = 0
        [models.small]
        upstream = "mokc"
        model = 3
        price = { input = -1, ouput = 3 }
        [models."a b"]
        upstream = "other"
        model = "m"
        [tasks.sums]
        weak = "smal"
        match = { system_prompt = "(", modle = "x" }
        grader = { kind = "numeri" }
        [tasks.words]
        weak = "small"
        strong = "small"
        grader = { kind = "regex", pattern = "a{99999999999}" }
        [optimiser]
    """) == [
        "models.a b: a name has letters, digits and . _ : / - only",
        "models.small.model: Expected `str`, got `int`",
        "models.small.price.input: Expected `float` >= 0.0",
        "models.small.price.ouput: unknown setting (did you mean 'output'?)",
        "models.small.upstream: there is no [upstreams.mokc] (did you mean 'mock'?)",
        "optimiser: unknown setting (did you mean 'optimizer'?)",
        "server.default_upstream: there is no [upstreams.mokc] (did you mean 'mock'?)",
        "server.prot: unknown setting (did you mean 'port'?)",
        (
            "tasks.sums.grader.kind: must be one of numeric, exact, regex, json_schema, tool_call, python_tests,"
            " python, judge"
        ),
        "tasks.sums.match.modle: unknown setting (did you mean 'model'?)",
        "tasks.sums.match.system_prompt: not a regular expression: missing ), unterminated subpattern at position 0",
        "tasks.sums.strong: is missing",
        "tasks.sums.weak: there is no [models.smal] (did you mean 'small'?)",
        "tasks.words.grader.pattern: not a regular expression: the repetition number is too large",
        "upstreams.mock.base_url: must start with http:// or https:// and name a host",
        "upstreams.mock.kind: must be one of openai, anthropic, ollama, llamacpp",
        "upstreams.other.base_url: is missing",
        "upstreams.other.threads: Expected `int` >= 1",
    ]


def test_a_reference_to_a_mistaken_section_is_no_second_mistake() -> None:
    """One cause, one line."""
    assert mistakes(GOOD.replace('"openai"', '"opnai"')) == [
        "upstreams.mock.kind: must be one of openai, anthropic, ollama, llamacpp"
    ]
    assert mistakes(GOOD.replace('model = "tiny-1b"', "")) == ["models.small.model: is missing"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tasks = 3", "tasks: must be a table, such as [tasks.NAME]"),
        ("models = []", "models: must be a table, such as [models.NAME]"),
        ("server = 'x'", "server: must be a table"),
        ("[tasks]\nsums = 'x'", "tasks.sums: must be a table"),
        ("injection = false", "injection: is switched by the environment variable PRECEPTOR_INJECTION, not here"),
        ("[optimizer]\nmargin = 1.0", "optimizer.margin: Expected `float` < 1.0"),
        ("[optimizer]\nenabled = 'no'", "optimizer.enabled: Expected `bool`, got `str`"),
        ("[server]\nport = 70000", "server.port: Expected `int` <= 65535"),
        ("[server]\nmax_body_mb = nan", "server.max_body_mb: Expected `float` > 0.0"),
    ],
)
def test_a_mistake_is_said_with_its_key(text: str, expected: str) -> None:
    """The line says where it is and what would be right."""
    assert mistakes(text) == [expected]


def test_a_judge_is_the_strong_model_unless_another_is_named() -> None:
    """Whoever grades has it by name; one that is not configured is a mistake."""
    text = GOOD.replace("[tasks.sums]", '[models.large]\nupstream = "mock"\nmodel = "big"\n[tasks.sums]')
    text = text.replace('strong = "small"', 'strong = "large"\ngrader = { kind = "judge" }')
    assert settings(text).tasks["sums"].grader == JudgeGrader(model="large")
    named = text.replace('"judge" }', '"judge", model = "small", criteria = "Short." }')
    assert settings(named).tasks["sums"].grader == JudgeGrader(model="small", criteria="Short.")
    assert mistakes(named.replace('model = "small", c', 'model = "lage", c')) == [
        "tasks.sums.grader.model: there is no [models.lage] (did you mean 'large'?)"
    ]


IDLE = """
[upstreams.local]
kind = "llamacpp"
base_url = "http://127.0.0.1:9"
keep_alive = "10m"
parallel = 4
"""


def test_settings_of_another_kind_have_no_effect(caplog: pytest.LogCaptureFixture) -> None:
    """An old file may hold them; the log names them."""
    assert settings(IDLE).upstreams == {"local": LlamaCppSettings(parallel=4)}
    assert [record.getMessage() for record in caplog.records] == [
        "upstreams.local.base_url has no effect with kind llamacpp",
        "upstreams.local.keep_alive has no effect with kind llamacpp",
    ]
    assert mistakes(IDLE + "thraeds = 3") == ["upstreams.local.thraeds: unknown setting (did you mean 'threads'?)"]


def test_an_upstream_that_must_not_teach_has_no_strong_model() -> None:
    """``may_teach = false`` is a promise about whose words become rules."""
    text = GOOD.replace("[models.small]", "may_teach = false\n[models.small]")
    assert mistakes(text) == [
        "tasks.sums.strong: small must not teach (upstreams.mock.may_teach): name a model of another upstream"
    ]
    assert settings(text.partition("[tasks.sums]")[0]).upstreams["mock"].may_teach is False


def test_what_the_contract_names_is_read() -> None:
    """The audit sample, the labels of a task and the quirks of a model."""
    made = settings(
        GOOD.replace('model = "tiny-1b"', 'model = "tiny-1b"\nquirks = { without = ["temperature"], context = 4096 }')
        + 'labels = ["refunds", "tracing"]\naudit = { share = 0.02 }\n'
    )
    assert made.models["small"].quirks == Quirks(without=("temperature",), context=4096)
    assert (made.tasks["sums"].labels, made.tasks["sums"].audit) == (("refunds", "tracing"), Audit(share=0.02))
    assert settings().tasks["sums"].audit.share is None
    assert mistakes(GOOD + "audit = { share = 0.0 }") == ["tasks.sums.audit.share: Expected `float` > 0.0"]


def test_what_is_not_toml_is_said_with_its_line() -> None:
    """The parser's own words, with line and column."""
    (line,) = mistakes("[server]\nport = = 3")
    assert "not TOML" in line and "line 2" in line


TOML = st.one_of(
    st.text(),
    st.lists(st.sampled_from([*GOOD.splitlines(), "[server]", "[tasks]", "[[tasks]]", "models = 3", 'weak = "${X}"',
                              "kind = [1]", "match = { model = 1979-05-27 }", "grader = { kind = [] }",
                              "base_url = 0x1", "price = { input = inf }", "tasks.a.weak = 'x'", "[upstreams]",
                              '"" = 1'])).map("\n".join),
    st.tuples(st.integers(0, len(GOOD)), st.text(max_size=3)).map(lambda cut: GOOD[: cut[0]] + cut[1] + GOOD[cut[0] :]),
)  # fmt: skip


@pytest.mark.parametrize(
    "address", ["http://[", "https://[::1", "http://a:99999/v1", "https://a:0", "http://", "http://:80", "//a"]
)
def test_an_address_that_leads_nowhere_is_a_mistake(address: str) -> None:
    """Half a bracket, a port that no server has, no host: told like any other mistake."""
    wrong = mistakes(GOOD.replace("http://127.0.0.1:9/v1", address))
    assert wrong == ["upstreams.mock.base_url: must start with http:// or https:// and name a host"]


@given(TOML)
@example("a = " + "[" * 10**5)
@example("a = " + "1" * 5000)
@example(".".join("a" * 3000) + " = 1")
@example("a = 2000-99-99")
@example("[tasks.a.match]\nsystem_prompt = '" + "(" * 5000 + "'")
def test_any_text_is_a_configuration_or_a_wrong_one(text: str) -> None:
    """No text whatsoever raises anything but ``ConfigurationError``."""
    with suppress(ConfigurationError):
        assert isinstance(settings(text), Settings)


def test_variables_come_from_the_environment() -> None:
    """Keys stay out of the file."""
    text = GOOD + '[upstreams.p]\nkind="openai"\nbase_url="http://${HOST}/v1"\napi_key="${KEY}"'
    assert key_of(settings(text, HOST="h", KEY="k"), "p") == "k"


def test_a_missing_variable_is_named() -> None:
    """With its key, beside every other mistake, and without complaints that follow from it."""
    text = GOOD.replace("http://127.0.0.1:9", "${HOST}").replace('weak = "small"', 'weak = "smal"')
    assert mistakes(text) == [
        "tasks.sums.weak: there is no [models.smal] (did you mean 'small'?)",
        "upstreams.mock.base_url: environment variable not set: HOST",
    ]


def test_secrets_are_in_no_representation_and_no_complaint() -> None:
    """A key can be logged by nobody by accident."""
    secrets = 'api_key = "${KEY}"\nheaders = { x-team = "${KEY}" }\n[models.small]'
    text = GOOD.replace("[models.small]", secrets).replace("127.0.0.1:9/v1", "ann:${KEY}@127.0.0.1:9/v1?k=${KEY}")
    made = settings(text, KEY="sk-1234")
    assert key_of(made, "mock") == "sk-1234"
    for shown in (repr(made), str(made), f"{made.upstreams}", repr(made.upstreams["mock"])):
        assert "sk-1234" not in shown
    for wrong in (text + "[server]\nprot = 1", text.replace('"${KEY}"', '["${KEY}"]')):
        assert "sk-1234" not in " ".join(mistakes(wrong, KEY="sk-1234"))


@pytest.mark.parametrize(
    ("value", "expected"), [(None, True), ("on", True), ("", True), ("off", False), ("OFF", False)]
)
def test_injection_can_be_switched_off_from_outside(value: str | None, expected: bool) -> None:
    """The kill switch needs no edit of a file."""
    assert settings(**({} if value is None else {"PRECEPTOR_INJECTION": value})).injection is expected


def test_a_configuration_cannot_be_changed() -> None:
    """Settings are read once and hold for the life of the process."""
    for value in (settings(), settings().server, settings().upstreams["mock"]):
        with pytest.raises(AttributeError):
            setattr(value, value.__struct_fields__[0], None)


def test_a_file_is_read(tmp_path: Path) -> None:
    """As UTF-8, with the given environment."""
    path = tmp_path / "ü.toml"
    path.write_text(GOOD + '[tasks.sums.match]\nmodel = "${NAME}"', encoding="utf-8")
    assert load(path, {"NAME": "gpt"}).tasks["sums"].match.model == "gpt"


@pytest.mark.parametrize(
    ("content", "complaint"), [(None, "preceptor init"), (b"\xff", "cannot be read"), (b"=", "TOML")]
)
def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, content: bytes | None, complaint: str) -> None:
    """The error says which file it was and what to do."""
    path = tmp_path / "a.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=complaint) as caught:
        load(path, {})
    assert caught.value.source == str(path) and str(path) in str(caught.value)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    """Not a traceback."""
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load(tmp_path, {})


@pytest.mark.parametrize(
    ("given_path", "environment", "expected"),
    [
        (Path("a.toml"), {"PRECEPTOR_CONFIG": "b.toml"}, Path("a.toml")),
        (None, {"PRECEPTOR_CONFIG": "b.toml"}, Path("b.toml")),
        (None, {"PRECEPTOR_CONFIG": ""}, Path(DEFAULT_FILE)),
        (None, {}, Path(DEFAULT_FILE)),
    ],
)
def test_which_file_is_the_configuration(given_path: Path | None, environment: dict[str, str], expected: Path) -> None:
    """``-c``, else ``PRECEPTOR_CONFIG``, else ``preceptor.toml``."""
    assert config_path(given_path, environment) == expected


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"PRECEPTOR_MODELS": "/m", "XDG_CACHE_HOME": "/c"}, Path("/m")),
        ({"XDG_CACHE_HOME": "/c"}, Path("/c/preceptor/models")),
        ({}, Path("~/.cache/preceptor/models").expanduser()),
    ],
)
def test_where_models_lie(environment: dict[str, str], expected: Path) -> None:
    """``PRECEPTOR_MODELS``, else the user's cache folder."""
    assert models_dir(environment) == expected


def test_a_child_inherits_no_key() -> None:
    """Only the system's variables, Python's, and those that a grader of the user's asks for by their name."""
    kept = {"PATH": "/bin", "LC_ALL": "C", "PYTHONPATH": "x", "GRADER_TABLE": "rates.csv"}
    assert child_environment(kept | {"OPENAI_API_KEY": "sk-secret", "MY_TOKEN": "secret", "DATABASE_URL": "x"}) == kept


def sections(value: Any) -> list[msgspec.Struct]:
    """A struct and every struct inside it."""
    if isinstance(value, msgspec.Struct):
        return [value, *(inner for name in value.__struct_fields__ for inner in sections(getattr(value, name)))]
    return [inner for item in value.values() for inner in sections(item)] if isinstance(value, dict) else []


def test_every_section_refuses_what_it_does_not_know() -> None:
    """A mistyped setting is never silently ignored, wherever it stands."""
    assert all(section.__struct_config__.forbid_unknown_fields for section in sections(settings()))


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("", "http://127.0.0.1:11434"),
        ("gpu-box", "http://gpu-box:11434"),
        ("10.0.0.7:8080", "http://10.0.0.7:8080"),
        ("https://ollama.example/", "https://ollama.example:11434"),
    ],
)
def test_ollamas_own_variable_names_its_address(given: str, address: str) -> None:
    """In the forms that Ollama's own command line takes."""
    assert ollama_address({"OLLAMA_HOST": given}) == address


def test_variables_with_a_value_are_known_by_name() -> None:
    """Their values stay where they are."""
    assert set_variables(["A", "B", "C"], {"A": "x", "B": ""}) == ("A",)
