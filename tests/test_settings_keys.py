"""``[keys.NAME]``: a key is known by its hash alone, from the moment in which the file is read."""

import datetime as dt
import hashlib

import pytest

from gateway.errors import ConfigurationError
from gateway.settings import Key, Settings, parse
from gateway.settings.keys import digest

SECRET = "prec-0123456789abcdef"
GOOD = '[upstreams.u]\nkind = "openai"\nbase_url = "http://127.0.0.1:9/v1"\n[models.m]\nupstream = "u"\nmodel = "x"\n'
GOOD += '[tasks.sums]\nweak = "m"\nstrong = "m"\n'


def settings(text: str) -> Settings:
    return parse(GOOD + text, source="test", environment={"TEAM_KEY": SECRET})


def mistakes(text: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        settings(text)
    assert SECRET not in str(caught.value)
    return sorted(caught.value.mistakes)


def test_a_digest_is_sha256() -> None:
    """As ``sha256sum`` prints it."""
    assert digest(SECRET) == "sha256:" + hashlib.sha256(SECRET.encode()).hexdigest()
    assert Key(hash=digest(SECRET)).sha256 == hashlib.sha256(SECRET.encode()).digest()


def test_a_key_from_the_environment_is_kept_as_its_hash_only() -> None:
    """Nothing that holds the settings can give the key away, and it is equal to the section with its hash."""
    made = settings('[keys.team]\nkey = "${TEAM_KEY}"\n')
    assert made.keys["team"].key is None
    assert made == settings(f'[keys.team]\nhash = "{digest(SECRET)}"\n')
    assert SECRET not in repr(made)


def test_a_repr_shows_neither_key_nor_hash() -> None:
    """Reprs go to logs."""
    assert repr(Key(key=SECRET, tasks=("sums",))) == "Key(tasks=('sums',), models=None)"


def test_every_mistake_is_said() -> None:
    """No key, two keys, a key that can be guessed, a hash that is none, names that point nowhere."""
    assert mistakes(f"""
        [keys.none]
        [keys.both]
        key = "{SECRET}"
        hash = "{digest(SECRET)}"
        [keys.short]
        key = "short"
        [keys.md5]
        hash = "md5:d41d8cd98f00b204e9800998ecf8427e"
        [keys.lost]
        key = "{SECRET}"
        tasks = ["sum"]
        models = ["m", "mm"]
        wrong = 1
    """) == [
        "keys.both: needs either hash or key: 'preceptor keys new NAME' makes one",
        "keys.lost.models.1: there is no [models.mm] (did you mean 'm'?)",
        "keys.lost.tasks.0: there is no [tasks.sum] (did you mean 'sums'?)",
        "keys.lost.wrong: unknown setting",
        "keys.md5.hash: Expected `str` matching regex '^sha256:[0-9a-f]{64}\\\\Z'",
        "keys.none: needs either hash or key: 'preceptor keys new NAME' makes one",
        "keys.short.key: must have at least 16 characters: guessing must be hopeless",
    ]


def test_two_sections_with_one_key_are_a_mistake() -> None:
    """In whichever form it stands there: whose request it is could not be told."""
    assert mistakes(f'[keys.a]\nhash = "{digest(SECRET)}"\n[keys.b]\nkey = "${{TEAM_KEY}}"\n') == [
        "keys.b: is the same key as keys.a: requests could not be told apart"
    ]


@pytest.mark.parametrize("text", ["keys = 3\n", "[keys]\nteam = 3\n", "[keys.team]\nkey = 3\n"])
def test_a_section_of_another_type_is_one_mistake(text: str) -> None:
    """It is not looked into."""
    head, _, rest = text.partition("\n")
    with pytest.raises(ConfigurationError) as caught:
        parse(f"{head}\n{rest}", source="test", environment={})
    assert len(caught.value.mistakes) == 1


def test_a_model_that_passes_through_need_not_be_configured() -> None:
    """With a default upstream any name may be one of its models."""
    text = f'[server]\ndefault_upstream = "u"\n[keys.team]\nhash = "{digest(SECRET)}"\nmodels = ["gpt-4.1"]\n'
    assert settings(text).keys["team"].models == ("gpt-4.1",)


def test_a_rotation_has_both_secrets_and_may_have_an_end() -> None:
    """Each secret with the time of its end."""
    made = settings(
        f'[keys.team]\nhash = "{digest(SECRET)}"\nold_hash = "{digest("old")}"\nold_until = 2027-01-30\n'
        'owner = "payments"\nrole = "read"\nexpires = 2027-01-31\n'
    ).keys["team"]
    ends = [dt.datetime(2027, *day, tzinfo=dt.UTC).timestamp() for day in ((2, 1), (1, 31))]
    assert list(made.digests()) == [
        (made.sha256, ends[0]), (hashlib.sha256(b"old").digest(), ends[1]),
    ]  # fmt: skip
    assert (made.owner, made.role) == ("payments", "read")


def test_mistakes_in_a_rotation_are_said() -> None:
    """An end without an old secret, an old secret that is another key, a date that is none."""
    assert mistakes(f"""
        [keys.a]
        hash = "{digest(SECRET)}"
        old_until = 2027-01-31
        [keys.b]
        hash = "{digest("b")}"
        old_hash = "{digest(SECRET)}"
        [keys.c]
        hash = "{digest("c")}"
        expires = "soon"
        role = "boss"
    """) == [
        "keys.a.old_until: is the end of old_hash: give both",
        "keys.b: is the same key as keys.a: requests could not be told apart",
        "keys.c.expires: Invalid RFC3339 encoded date",
        "keys.c.role: must be one of use, read, approve, admin",
    ]
