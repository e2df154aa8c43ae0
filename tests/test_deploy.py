"""The files in ``deploy/`` keep their promises: a valid configuration, an unprivileged user, room to drain."""

import configparser
import json
import re
from pathlib import Path

import yaml

from gateway import settings

DEPLOY = Path(__file__).parents[1] / "deploy"


def unit() -> dict[str, str]:
    """The ``[Service]`` section of the systemd unit; of a key that stands twice, the last one."""
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment, method-assign]  # keys keep their case
    parser.read(DEPLOY / "preceptor.service", encoding="utf-8")
    return dict(parser["Service"])


def instructions(word: str) -> list[str]:
    """The arguments of every instruction of that kind in the last stage of the Containerfile."""
    text = (DEPLOY / "Containerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    return re.findall(rf"^{word}\s+(.*)$", text.rpartition("\nFROM ")[2], flags=re.MULTILINE)


def configuration() -> settings.Settings:
    environment = {
        "STATE_DIRECTORY": "/var/lib/preceptor",
        "PROVIDER_BASE_URL": "http://127.0.0.1:9100/v1",
        "PROVIDER_API_KEY": "key",
    }
    return settings.load(DEPLOY / "preceptor.toml", environment)


def test_the_shipped_configuration_is_valid() -> None:
    """``preceptor.toml`` loads without a mistake and keeps its data where systemd or the image say."""
    assert configuration().server.data_dir == Path("/var/lib/preceptor")


def test_the_image_runs_as_an_unprivileged_user() -> None:
    """The last user of the image is a number other than root's, which ``runAsNonRoot`` can check."""
    assert instructions("USER")[-1] == "8100:8100"


def test_the_image_starts_the_gateway_without_a_shell() -> None:
    """The entry point is in exec form, so that SIGTERM reaches the gateway."""
    command = json.loads(instructions("ENTRYPOINT")[-1])
    assert command[:2] == ["preceptor", "serve"]


def test_the_unit_runs_as_an_unprivileged_user() -> None:
    """The unit has a user of its own and can neither gain privileges nor write outside its folders."""
    service = unit()
    assert service["DynamicUser"] == "yes"
    assert service["NoNewPrivileges"] == "yes"
    assert service["ProtectSystem"] == "strict"
    assert service["CapabilityBoundingSet"] == ""


def test_the_unit_lets_the_sandbox_work() -> None:
    """Bubblewrap needs namespaces of its own; a unit without them would refuse every reply's code."""
    assert {"user", "mnt", "pid", "net", "ipc", "uts"} <= set(unit()["RestrictNamespaces"].split())


def test_the_unit_waits_longer_than_the_gateway_drains() -> None:
    """systemd kills nothing before running requests had their time and the model server was stopped."""
    assert float(unit()["TimeoutStopSec"]) >= 2 * configuration().server.drain_s


def test_the_compose_file_s_gateways_share_a_postgres_and_keep_nothing_to_themselves() -> None:
    """Its configuration takes the store's address from the environment that the file sets, and the rest is complete."""
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    gateway, postgres = compose["services"]["gateway"], compose["services"]["postgres"]
    environment = dict.fromkeys(gateway["environment"], "http://h/v1") | {
        "STATE_DIRECTORY": "/data", "PRECEPTOR_STORE": gateway["environment"]["PRECEPTOR_STORE"],
    }  # fmt: skip
    loaded = settings.load(DEPLOY / "preceptor-postgres.toml", environment)
    assert loaded.server.store is not None
    user, database = (postgres["environment"][name] for name in ("POSTGRES_USER", "POSTGRES_DB"))
    assert loaded.server.store.startswith(f"postgresql://{user}:") and loaded.server.store.endswith(f"/{database}")
    assert gateway["depends_on"]["postgres"]["condition"] == "service_healthy" and "healthcheck" in postgres
    mounted = gateway["volumes"][0].partition(":")
    assert (DEPLOY / mounted[0]).is_file() and mounted[2].startswith("/etc/preceptor/preceptor.toml")
    assert gateway["read_only"] and gateway["cap_drop"] == ["ALL"]


def test_the_compose_file_gives_a_gateway_time_to_drain() -> None:
    """Longer than the lame duck and the drain together."""
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    grace = int(compose["services"]["gateway"]["stop_grace_period"].removesuffix("s"))
    assert grace > configuration().server.lame_duck_s + configuration().server.drain_s


def test_the_load_balancer_turns_away_before_a_gateway_accepts_nobody() -> None:
    """It asks for readiness, not for life, and its patience is shorter than the lame duck; answers may take long."""
    text = (DEPLOY / "haproxy.cfg").read_text(encoding="utf-8")
    assert "uri /readyz " in text
    (inter, fall) = re.findall(r"check inter (\d+)s fall (\d+)", text)[0]
    assert int(inter) * int(fall) < configuration().server.lame_duck_s
    waits = re.search(r"timeout server (\d+)s", text)
    assert waits is not None
    assert float(waits[1]) > max(upstream.total_timeout_s for upstream in configuration().upstreams.values())
