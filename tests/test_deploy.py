"""Dockerfile and compose file, checked as far as it goes without an engine: shapes, names, hardening, and each command
run here, outside a container.
"""

from __future__ import annotations

import http.server
import json
import os
import re
import socket
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from importlib import resources
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jsonschema
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from folioscope.settings import Settings

ROOT = Path(__file__).parents[1]
PROGRAM = [sys.executable, "-c", "from api.cli.main import main; main()"]
OURS = ("api", "worker")
STORES = ("postgres", "qdrant", "s3")
SECRETS = ("POSTGRES_PASSWORD", "QDRANT_API_KEY", "S3_ACCESS_KEY", "S3_SECRET_KEY")


def example() -> dict[str, str]:
    """What .env.example sets."""
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def filled(text: str, values: dict[str, str]) -> str:
    """``${NAME}``, ``${NAME:-default}`` and ``${NAME:?error}`` as compose puts values in."""

    def value(found: re.Match[str]) -> str:
        name, kind, rest = found.groups()
        if values.get(name):
            return values[name]
        assert kind != ":?", f"{name} must be set"
        return rest or ""

    return re.sub(r"\$\{(\w+)(?:(:-|:\?)([^}]*))?\}", value, text)


def put_in(tree: Any, values: dict[str, str]) -> Any:
    """Values in all of a parsed file's texts."""
    if isinstance(tree, dict):
        return {key: put_in(value, values) for key, value in tree.items()}
    if isinstance(tree, list):
        return [put_in(value, values) for value in tree]
    return filled(tree, values) if isinstance(tree, str) else tree


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """The compose file with an .env that was filled in."""
    values = example() | {name: f"secret-{name.lower()}" for name in SECRETS}
    found: dict[str, Any] = put_in(yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8")), values)
    return found


@pytest.fixture(scope="module")
def dockerfile() -> list[list[str]]:
    """Its instructions, split at white space."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    return [line.split() for line in text.splitlines() if line.strip() and not line.startswith("#")]


def instructions(dockerfile: list[list[str]], name: str) -> list[list[str]]:
    return [line[1:] for line in dockerfile if line[0] == name]


# --- the compose file ------------------------------------------------------------------------------------------------


def test_the_compose_file_keeps_to_the_specification(compose) -> None:
    pytest.importorskip("check_jsonschema", reason="carries the specification's schema")
    schema = resources.files("check_jsonschema") / "builtin_schemas/vendor/compose-spec.json"
    specification = json.loads(schema.read_text(encoding="utf-8"))
    jsonschema.validate(compose, specification)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**compose, "services": {"api": {"imag": "x"}}}, specification)


def test_passwords_have_no_defaults_and_must_be_set() -> None:
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    assert {name: example()[name] for name in SECRETS} == dict.fromkeys(SECRETS, "")
    for name in SECRETS:
        assert not re.search(rf"\$\{{{name}(?!:\?)", text)
        with pytest.raises(AssertionError, match=name):
            filled(text, {other: "x" for other in (*SECRETS, "PUBLIC_HOST") if other != name})
    used = set(re.findall(r"\$\{(\w+)", text))
    assert used == example().keys()
    assert subprocess.run(["git", "check-ignore", "-q", ".env"], cwd=ROOT).returncode in (0, 128)  # 128: no checkout


def test_every_service_is_hardened(compose) -> None:
    for name, service in compose["services"].items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert not service.get("privileged")
        assert "latest" not in service["image"]
        if name != "vllm":  # which writes what it compiles into its home
            assert service["read_only"] is True
            assert "/tmp" in service["tmpfs"]
        if service["image"] != "folioscope":
            assert ":" in service["image"], "a version of its own"
            assert service["healthcheck"]["test"]


def test_only_the_server_can_be_reached_and_only_from_this_machine(compose) -> None:
    ports = {name: service["ports"] for name, service in compose["services"].items() if "ports" in service}
    assert ports == {"api": ["127.0.0.1:8000:8000"]}
    assert compose["networks"]["inside"]["internal"] is True
    for name in STORES:
        assert compose["services"][name]["networks"] == ["inside"]


def test_names_that_are_used_are_there(compose) -> None:
    for name, service in compose["services"].items():
        assert set(service.get("depends_on", ())) <= compose["services"].keys(), name
        assert set(service.get("networks", ())) <= compose["networks"].keys()
        for volume in service.get("volumes", ()):
            assert volume.startswith("/") or volume.partition(":")[0] in compose["volumes"]
    environment = compose["services"]["api"]["environment"]
    addresses = [
        value for name, value in environment.items() if name.endswith(("DATABASE_URL", "QDRANT_URL", "ENDPOINT"))
    ]
    hosts = {urlsplit(address).hostname for address in addresses}
    assert hosts == set(STORES)
    assert environment["FOLIOSCOPE_FILES_URL"].startswith("s3://folioscope/")
    assert compose["services"]["s3"]["volumes"] == ["originals:/data/folioscope"]  # the bucket


def test_its_settings_are_settings(compose) -> None:
    known = {f"FOLIOSCOPE_{name.upper()}" for name in Settings.model_fields}
    for name in OURS:
        environment = compose["services"][name]["environment"]
        assert {each for each in environment if each.startswith("FOLIOSCOPE_")} <= known
        values = {each.removeprefix("FOLIOSCOPE_").lower(): value for each, value in environment.items()}
        given = {each: value for each, value in values.items() if each in Settings.model_fields}
        assert Settings(**given).database_url.startswith("postgresql+psycopg://folioscope:secret-postgres_password@")


# --- its commands ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def answering() -> Iterator[int]:
    """The port of a server that says 200 to whatever it is asked."""

    class Fine(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Fine) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def checks(words: list[str], old: int, port: int) -> bool:
    """Whether a health check's command is content with what answers at ``port``."""
    moved = [word.replace(str(old), str(port)) for word in words]
    assert moved != words
    return subprocess.run(moved, capture_output=True, timeout=20).returncode == 0


@pytest.mark.parametrize(("service", "port"), [("qdrant", 6333), ("s3", 7070), ("vllm", 8000)])
def test_health_checks_tell_up_from_down(compose, answering, service, port) -> None:
    kind, *words = compose["services"][service]["healthcheck"]["test"]
    assert kind == "CMD"
    assert checks(words, port, answering)
    assert not checks(words, port, closed_port())


def test_the_health_check_of_postgres(compose, postgres) -> None:
    kind, *words = compose["services"]["postgres"]["healthcheck"]["test"]
    assert kind == "CMD"
    port = postgres.rpartition(":")[2]
    assert subprocess.run([*words, f"--port={port}"]).returncode == 0
    assert subprocess.run([*words, f"--port={closed_port()}"]).returncode != 0


def test_the_server_starts_and_its_health_check_is_content(compose, dockerfile, tmp_path) -> None:
    (entry,) = instructions(dockerfile, "ENTRYPOINT")
    assert json.loads(" ".join(entry)) == ["folioscope"]
    (health,) = instructions(dockerfile, "HEALTHCHECK")
    words = json.loads(" ".join(health[health.index("CMD") + 1 :]))
    environment = {**os.environ, "FOLIOSCOPE_DATA_DIR": str(tmp_path), "FOLIOSCOPE_CHANNELS": "lexical"}
    command = [*PROGRAM, *compose["services"]["api"]["command"], "--port", "0"]
    refused = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert "keys create" in refused.stderr  # as docs/deploy.md says to do first
    subprocess.run([*PROGRAM, "keys", "create", "first"], env=environment, check=True, capture_output=True)
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    watchdog = threading.Timer(100, process.kill)
    watchdog.start()
    try:
        assert process.stderr is not None
        port = int(re.search(r":(\d+) to who has a key", process.stderr.readline())[1])
        assert checks([sys.executable, *words[1:]], 8000, port)
    finally:
        watchdog.cancel()
        process.terminate()
        process.wait(60)
        process.stderr.close()
    assert not checks([sys.executable, *words[1:]], 8000, port)


@pytest.mark.parametrize("service", OURS)
def test_its_commands_are_commands(compose, service) -> None:
    from api.cli.main import app

    command, *_ = compose["services"][service]["command"]
    known = {each.name or each.callback.__name__ for each in app.registered_commands if each.callback}
    assert command in known


# --- the Dockerfile --------------------------------------------------------------------------------------------------


def test_what_the_dockerfile_copies_is_there_and_let_through(dockerfile) -> None:
    copied = [words[:-1] for words in instructions(dockerfile, "COPY") if not words[0].startswith("--from")]
    paths = {path for words in copied for path in words}
    let_through = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert paths == let_through
    assert all((ROOT / path).exists() for path in paths)
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert set(packages["packages"]) <= paths


def extras_of(dockerfile: list[list[str]]) -> str:
    given = dict(words[0].split("=", 1) for words in instructions(dockerfile, "ARG"))
    return given["EXTRAS"]


def test_its_extras_are_extras_and_its_weights_the_makefiles(dockerfile) -> None:
    (extras,) = (
        words[0].partition("=")[2] for words in instructions(dockerfile, "ARG") if words[0].startswith("EXTRAS")
    )
    assert (
        set(extras.split(","))
        <= tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"].keys()
    )
    weights = re.search(r"^WEIGHTS = (\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1]
    assert any(weights in words for words in instructions(dockerfile, "RUN"))


def test_what_runs_is_small_and_no_root(dockerfile) -> None:
    stages = [words for words in dockerfile if words[0] == "FROM"]
    assert len(stages) == 2
    last = dockerfile[dockerfile.index(stages[-1]) :]
    (user,) = instructions(last, "USER")
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", user[0])
    assert last.index(["USER", *user]) < next(n for n, words in enumerate(last) if words[0] == "ENTRYPOINT")
    for words in instructions(dockerfile, "RUN"):
        if "pip" in " ".join(words):
            assert words.count("--no-cache-dir") == [word.rpartition("/")[2] for word in words].count("pip")
        if "apt-get" in words:
            assert "--no-install-recommends" in words
            assert "/var/lib/apt/lists/*" in words
    assert not any("latest" in word for words in stages for word in words)


def test_what_it_installs_is_pinned_to_versions_that_are_allowed(dockerfile) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = (project["optional-dependencies"][each] for each in extras_of(dockerfile).split(","))
    wanted = [*project["dependencies"], *chain.from_iterable(extras)]
    pins = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line)
    pins = {canonicalize_name(name): version for name, version in pins.items()}
    for requirement in map(Requirement, wanted):
        assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)]), requirement
