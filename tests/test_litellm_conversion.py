"""A LiteLLM configuration as one of ours: it always loads, holds no secret, and says what it leaves out."""

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import ConfigurationError
from gateway.litellm.conversion import Imported, imported
from gateway.settings import Model, Settings, parse
from gateway.settings.quotas import Budget, Limits


def entry(name: str, model: str, **params: Any) -> dict[str, Any]:
    return {"model_name": name, "litellm_params": {"model": model, **params}}


def moved(*models: dict[str, Any], **sections: Any) -> Imported:
    return imported({"model_list": list(models), **sections}, "config.yaml")


def loaded(made: Imported) -> Settings:
    """The settings that it says, with the variables set that it asks for."""
    return parse(made.text, source="imported", environment=dict.fromkeys(made.variables, "https://set.example"))


def test_models_share_an_upstream_that_is_the_same() -> None:
    """The same address, key and bounds; another key is another upstream."""
    settings = loaded(
        moved(
            entry("a", "groq/x"),
            entry("b", "groq/y"),
            entry("c", "groq/z", api_key="os.environ/OTHER"),
            entry("d", "groq/z", timeout=5),
        )
    )
    assert {name: model.upstream for name, model in settings.models.items()} == {
        "a": "groq", "b": "groq", "c": "groq-2", "d": "groq-3"
    }  # fmt: skip


def test_several_deployments_of_a_name_are_each_others_fallbacks() -> None:
    """The first answers, as a task that is recognised by the name."""
    settings = loaded(moved(entry("m", "groq/x"), entry("m", "xai/y"), entry("m-2", "xai/z")))
    assert settings.models["m"] == Model(upstream="groq", model="x")
    assert settings.models["m-3"] == Model(upstream="xai", model="y")
    assert settings.tasks["m"].match.model == "m"
    assert (settings.tasks["m"].weak, settings.tasks["m"].fallback) == ("m", ("m-3",))


def test_equal_deployments_of_a_name_share_its_conversations() -> None:
    """The same model elsewhere; by their weights if each has one. Another model of the name is a fallback."""
    made = moved(
        entry("m", "openai/x", api_base="https://a.example/v1", weight=3),
        entry("m", "openai/x", api_base="https://b.example/v1", weight=1),
        entry("m", "groq/y"),
        entry("n", "openai/x", api_base="https://a.example/v1", weight=2),
        entry("n", "openai/x", api_base="https://b.example/v1"),
    )
    settings = loaded(made)
    shares = {name: (model.upstreams, model.weights) for name, model in settings.models.items()}
    both = ("a.example", "b.example")
    assert shares == {"m": (both, (3.0, 1.0)), "m-2": ((), ()), "n": (both, ())}
    assert settings.tasks["m"].fallback == ("m-2",) and set(settings.tasks) == {"m"}
    assert not any("weight" in line for line in made.left_out)


def test_a_weight_that_is_none_is_said() -> None:
    """And the deployments are equal."""
    made = moved(entry("m", "groq/x", weight="much"))
    assert made.left_out == ("model_list[0] (m): weight",)


@pytest.mark.parametrize("section", ["router_settings", "litellm_settings"])
def test_fallbacks_are_followed(section: str) -> None:
    """A name's own chain, after its other deployments, and the chain of every name that has none."""
    chains = [{"a": ["b", "c"]}, {"*": ["c"]}]
    settings = loaded(
        moved(
            entry("a", "groq/1"), entry("a", "groq/2"), entry("b", "xai/1"), entry("c", "xai/2"),
            **{section: {"fallbacks": chains}},
        )
    )  # fmt: skip
    assert {name: task.fallback for name, task in settings.tasks.items()} == {"a": ("a-2", "b", "c"), "b": ("c",)}


def test_default_fallbacks_are_for_names_without_their_own() -> None:
    """And no model falls back on itself."""
    made = moved(entry("a", "groq/1"), entry("b", "xai/1"), litellm_settings={"default_fallbacks": ["b"]})
    assert {name: task.fallback for name, task in loaded(made).tasks.items()} == {"a": ("b",)}


def test_a_fallback_that_leads_nowhere_is_said() -> None:
    """The name that is missing stands in the note."""
    made = moved(entry("a", "groq/1"), router_settings={"fallbacks": [{"a": ["gone", {"model": "x"}]}, {"z": ["a"]}]})
    assert loaded(made).tasks == {}
    assert made.left_out == (
        "fallbacks.a: 'gone' is no model that was carried over",
        "fallbacks.a: an entry is no model that was carried over",
        "fallbacks.z: names no model that was carried over",
    )


def test_an_alias_is_a_model_with_the_same_fallbacks() -> None:
    """Clients that use it go on."""
    made = moved(
        entry("a", "groq/1"), entry("b", "xai/1"),
        router_settings={"model_group_alias": {"old": "a", "hidden": {"model": "a"}, "bad": "gone"},
                         "fallbacks": [{"a": ["b"]}]},
    )  # fmt: skip
    settings = loaded(made)
    assert settings.models["old"] == settings.models["hidden"] == settings.models["a"]
    assert settings.tasks["old"].fallback == settings.tasks["a"].fallback == ("b",)
    assert made.left_out == ("model_group_alias.bad: names no model that was carried over",)


def test_a_name_that_no_model_can_have_is_still_answered() -> None:
    """A task is recognised by any text."""
    settings = loaded(moved(entry("my model!", "groq/1"), entry("my-model-", "groq/2")))
    assert settings.tasks["my-model--2"].match.model == "my model!"
    assert settings.models["my-model--2"].model == "1"
    assert settings.models["my-model-"].model == "2"


def test_an_entry_for_any_model_is_the_default_upstream() -> None:
    """Other patterns have no place here."""
    made = moved(entry("*", "openai/*"), entry("groq/*", "groq/*"), entry("a", "groq/1"))
    settings = loaded(made)
    assert settings.server.default_upstream == "openai"
    assert list(settings.models) == ["a"]
    assert [line.partition(":")[0] for line in made.left_out] == ["model_list[1] (groq/*)"]


def test_router_settings_hold_for_every_deployment_that_says_nothing() -> None:
    """And win over the same ones of the library."""
    made = moved(
        entry("a", "groq/1"), entry("b", "groq/1", timeout=5, max_retries=1),
        router_settings={"timeout": 60, "num_retries": 4}, litellm_settings={"request_timeout": 7, "num_retries": 9},
    )  # fmt: skip
    upstreams = loaded(made).upstreams
    assert (upstreams["groq"].total_timeout_s, upstreams["groq"].retries) == (60, 4)
    assert (upstreams["groq-2"].total_timeout_s, upstreams["groq-2"].retries) == (5, 1)
    assert made.left_out == ()


def test_what_has_no_place_here_is_listed() -> None:
    """By its key, with what to do where there is something, and never with its value."""
    made = moved(
        {**entry("a", "groq/1", tags=5), "model_info": {"mode": "chat"}, "more": 1},
        entry("b", "bedrock/titan", aws_secret_access_key="sk-secret"),
        general_settings={"master_key": "sk-secret"},
        litellm_settings={"callbacks": ["sk-secret"]},
        environment_variables={"X": "sk-secret"},
        guardrails=[],
    )
    assert made.left_out == (
        "model_list[0] (a): tags, model_info.mode, more",
        "model_list[1] (b): provider bedrock is not one that speaks OpenAI's API, Anthropic's or Ollama's",
        "general_settings.master_key: it is too short here; clients show the new key of $LITELLM_MASTER_KEY",
        "litellm_settings.callbacks",
        "environment_variables: set them in the environment of the gateway",
        "guardrails",
    )
    for line in made.left_out:
        assert f"# - {line}\n" in made.text


def test_a_secret_in_the_file_becomes_a_variable_that_is_explained() -> None:
    """The text says where the value stands; a variable that means something already is not taken."""
    made = moved(entry("a", "groq/1", api_key="sk-secret"), entry("b", "groq/2"))
    assert dict(made.variables) == {
        "GROQ_API_KEY_2": "the value of model_list[0].litellm_params.api_key",
        "GROQ_API_KEY": "the provider's key, as for LiteLLM",
    }
    assert "#   GROQ_API_KEY_2: the value of model_list[0].litellm_params.api_key\n" in made.text
    assert "sk-secret" not in made.text


@pytest.mark.parametrize(
    ("given", "variable"),
    [
        ("sk-0123456789abcdef", "LITELLM_MASTER_KEY"),
        ("os.environ/OUR_KEY", "OUR_KEY"),
        ("sk-1234", "LITELLM_MASTER_KEY"),
    ],
)
def test_a_master_key_keeps_the_gateway_closed(given: str, variable: str) -> None:
    """Clients show the key of before; in place of a short one, a new one. It is never written down."""
    made = moved(entry("a", "groq/1"), general_settings={"master_key": given})
    assert list(loaded(made).keys) == ["litellm"] and variable in made.variables
    assert f'key = "${{{variable}}}"' in made.text and "sk-" not in made.text
    assert ("no master_key" in made.text) is False


def test_a_file_without_a_master_key_says_that_clients_need_no_key() -> None:
    """LiteLLM may take it from its environment."""
    assert "# The file names no master_key, so clients need no key" in moved(entry("a", "groq/1")).text


def test_a_task_with_a_fallback_does_not_teach_itself() -> None:
    """The first other model teaches, should anybody turn learning on."""
    settings = loaded(
        moved(
            entry("a", "groq/1"),
            entry("a", "openai/1"),
            entry("b", "xai/2"),
            litellm_settings={
                "fallbacks": [{"a": ["b"]}],
            },
        )
    )
    assert (settings.tasks["a"].weak, settings.tasks["a"].strong) == ("a", "b")


def test_nothing_is_learnt_until_somebody_says_so() -> None:
    """Moving in changes no prompt and costs nothing."""
    assert loaded(moved(entry("a", "groq/1"))).optimizer.enabled is False


@pytest.mark.parametrize(
    ("settings", "mistakes"),
    [
        ({}, ["model_list: must be a list of at least one model"]),
        ({"model_list": []}, ["model_list: must be a list of at least one model"]),
        ({"model_list": {"a": 1}}, ["model_list: must be a list of at least one model"]),
        (
            {"model_list": ["x", {"model_name": 4, "litellm_params": []}], "router_settings": 5},
            [
                "router_settings: must be a mapping",
                "model_list[0]: must be a mapping",
                "model_list[0].model_name: must be a name",
                "model_list[0].litellm_params.model: must be a name such as openai/gpt-4.1",
                "model_list[1].litellm_params: must be a mapping",
                "model_list[1].model_name: must be a name",
                "model_list[1].litellm_params.model: must be a name such as openai/gpt-4.1",
            ],
        ),
        (
            {"model_list": [entry("a", "groq/1")], "router_settings": {"fallbacks": ["a"], "model_group_alias": "b"}},
            ["model_group_alias: must be a mapping", "fallbacks: must be a mapping"],
        ),
    ],
    ids=str,
)
def test_what_is_no_litellm_configuration_is_said_at_once(settings: dict[str, Any], mistakes: list[str]) -> None:
    """Every mistake, each with its key."""
    with pytest.raises(ConfigurationError) as caught:
        imported(settings, "config.yaml")
    assert list(caught.value.mistakes) == mistakes


SECRET = "sk-SECRET-value"
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ["a", "b", "*", "x y", "a-2", 'q"\n[server]\nport = 1', "${HOME}", "task:a", "# x", "os.environ/A", "-", "\x7f"]
)
SCALAR = TEXT | st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["3e-7", "2024-10-21"])
ANYTHING: st.SearchStrategy[Any] = st.recursive(
    SCALAR, lambda items: st.lists(items, max_size=3) | st.dictionaries(TEXT, items, max_size=3), max_leaves=5
)
KEY = st.sampled_from([SECRET, f"{SECRET}-2", "os.environ/A_KEY", "os.environ/OPENAI_API_KEY", "os.environ/b-c", ""])
ADDRESS = st.sampled_from(
    ["http://gpu1:8000/v1", "https://eu.openai.azure.com/", "https://h/openai/deployments/d", "os.environ/BASE",
     f"https://user:{SECRET}@h/v1", f"https://h/v1?key={SECRET}", "http://[::1]:80/v1", "https://${HOST}/v1", "nowhere"]
)  # fmt: skip
PROVIDER = st.sampled_from(["openai", "azure", "ollama", "ollama_chat", "groq", "anthropic", "hosted_vllm", "bedrock"])
MODEL = st.builds("{}/{}".format, PROVIDER, TEXT.filter(bool)) | TEXT.filter(bool)
PARAMS = st.fixed_dictionaries(
    {"model": MODEL},
    optional={
        "api_key": KEY, "api_base": ADDRESS | ANYTHING, "api_version": SCALAR, "timeout": SCALAR, "rpm": SCALAR,
        "num_retries": SCALAR, "num_ctx": SCALAR, "keep_alive": SCALAR, "think": SCALAR, "organization": KEY,
        "extra_headers": st.dictionaries(TEXT | st.just("X-Team"), KEY | SCALAR, max_size=2) | ANYTHING,
        "input_cost_per_token": SCALAR, "custom_llm_provider": PROVIDER,
    },
)  # fmt: skip
ENTRY = st.fixed_dictionaries(
    {"model_name": TEXT.filter(bool), "litellm_params": PARAMS},
    optional={"model_info": st.none() | st.dictionaries(TEXT | st.just("output_cost_per_token"), SCALAR, max_size=3)},
)
CHAINS = st.lists(st.dictionaries(TEXT, st.lists(TEXT, max_size=3) | ANYTHING, max_size=2), max_size=2)
CONFIGURATION = st.fixed_dictionaries(
    {"model_list": st.lists(ENTRY, min_size=1, max_size=4)},
    optional={
        "router_settings": st.fixed_dictionaries(
            {}, optional={"fallbacks": CHAINS, "timeout": SCALAR, "num_retries": SCALAR,
                          "model_group_alias": st.dictionaries(TEXT, TEXT, max_size=2)}
        ),
        "litellm_settings": st.dictionaries(TEXT, ANYTHING, max_size=2),
        "general_settings": st.fixed_dictionaries({"master_key": st.just(SECRET)}),
        "other": ANYTHING,
    },
)  # fmt: skip


@given(CONFIGURATION)
def test_whatever_comes_out_loads(configuration: dict[str, Any]) -> None:
    """With the variables set that it names, and with nothing in it that the file did not say there."""
    made = moved(*configuration["model_list"], **{k: v for k, v in configuration.items() if k != "model_list"})
    settings = loaded(made)
    assert SECRET not in made.text + " ".join([*made.left_out, *made.variables.values()])
    assert set(tomllib.loads(made.text)) <= {"server", "upstreams", "models", "tasks", "keys", "optimizer"}
    assert settings.server.port == 8100
    answered = {*settings.models, *(task.match.model for task in settings.tasks.values())}
    for index, item in enumerate(configuration["model_list"]):
        noted = any(line.startswith(f"model_list[{index}] ") for line in made.left_out)
        name = item["model_name"]
        assert noted or name in answered or name == "*" or "${" in name


def test_limits_and_a_budget_come_along() -> None:
    """Those of a deployment become its upstream's, shared with no other; everybody's become the only key's."""
    made = moved(
        entry("a", "groq/1", rpm=60, tpm=9000),
        entry("b", "groq/2", rpm=60, tpm=9000),
        general_settings={"master_key": "os.environ/THE_KEY", "global_max_parallel_requests": 40},
        litellm_settings={"max_budget": 100, "budget_duration": "30d"},
    )
    settings = parse(made.text, source="test", environment=dict.fromkeys(made.variables, "x" * 20))
    assert [upstream.limits for upstream in settings.upstreams.values()] == [
        Limits(requests_per_minute=60, tokens_per_minute=9000)
    ] * 2
    key = settings.keys["litellm"]
    assert (key.limits, key.budget) == (Limits(concurrent=40), Budget(usd=100.0, per="month"))
    assert made.left_out == ()


def test_limits_without_a_counterpart_are_named() -> None:
    """Another period, a budget without a key, what LiteLLM sets for keys that it makes."""
    week = {"max_budget": 5, "budget_duration": "7d", "default_key_generate_params": {"max_budget": 1}}
    made = moved(entry("a", "groq/1"), general_settings={"master_key": "os.environ/THE_KEY"}, litellm_settings=week)
    assert made.left_out == (
        "litellm_settings.max_budget: a budget is that of a key, for a day or a month (1d, 30d, 1mo): keys.NAME.budget",
        "litellm_settings.default_key_generate_params: limits and budget stand in the section of each key",
    )
    open_ = moved(entry("a", "groq/1"), litellm_settings={"max_budget": 5, "budget_duration": "1d"})
    assert [line.partition(":")[0] for line in open_.left_out] == [
        "litellm_settings.max_budget", "litellm_settings.budget_duration",
    ]  # fmt: skip
