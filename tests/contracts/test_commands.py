"""Every command that a page, a batch script or a manifest shows composes as it is typed."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from histofed.cli import VERBS
from histofed.pipeline.config import compose, to_object

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = sorted([*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").glob("*.md")])
BATCH = sorted((REPOSITORY / "scripts" / "slurm").glob("*.sbatch"))
MANIFESTS = sorted((REPOSITORY / "scripts" / "kubernetes").glob("*.yaml"))
FENCE = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^(?:\w+=\S+ )*histofed [a-z].*", re.MULTILINE)
VARIABLE = re.compile(r"\$\{[^}]*\}|\$\w+")
NOT_AS_TYPED = ("...", " | ", "VERB")


def commands_in(text: str) -> Iterator[str]:
    """Yield the commands of a shell script, without comments and with variables filled in."""
    whole = re.sub(r"\\\n\s*", "", text)
    whole = "\n".join(line.strip() for line in whole.splitlines())
    for found in COMMAND.finditer(whole):
        if not any(sign in found[0].partition(" #")[0] for sign in NOT_AS_TYPED):
            yield VARIABLE.sub("value", found[0])


def documents_of(manifest: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(manifest.read_text(encoding="utf-8")))


def pods_of(manifest: Path) -> list[dict[str, Any]]:
    specs = [each.get("spec", {}) for each in documents_of(manifest)]
    return [spec["template"]["spec"] for spec in specs if "template" in spec]


def shown() -> list[tuple[str, str]]:
    """Return every command, and where it is shown."""
    found = []
    for page in PAGES:
        for block in FENCE.findall(page.read_text(encoding="utf-8")):
            found += [(page.name, each) for each in commands_in(block)]
    for script in BATCH:
        found += [(script.name, each) for each in commands_in(script.read_text(encoding="utf-8"))]
    for manifest in MANIFESTS:
        for pod in pods_of(manifest):
            for container in pod["containers"]:
                words = [*container["command"], *container.get("args", ())]
                text = words[-1] if words[0] == "sh" else shlex.join(words)
                found += [(manifest.name, each) for each in commands_in(text)]
    return found


def test_pages_scripts_and_manifests_show_commands():
    names = [name for name, _ in shown()]
    for name in ("README.md", "federation.md", "federate-join.sbatch", "server.yaml",
                 "hospital.yaml"):  # fmt: skip
        assert name in names, name


@pytest.mark.parametrize(("name", "command"), shown())
def test_what_is_shown_can_be_typed(name, command):
    words = shlex.split(re.sub(r"\s(#|&&?|\|\||\|).*", "", command).removesuffix(" &"))
    words = words[words.index("histofed") + 1 :]
    two = "_".join(words[:2])
    verb, options = (two, words[2:]) if two in VERBS else (words[0], words[1:])
    assert verb in VERBS, f"{name}: {command}"
    if verb == "encoders" and options[:1] == ["show"]:
        options = [f"name={options[1]}"]
    to_object(compose(verb, [each for each in options if not each.startswith("-")]))


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda each: each.name)
def test_pods_run_without_rights_and_write_to_volumes_only(manifest):
    (pod,) = pods_of(manifest)
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    claimed = {
        each["metadata"]["name"]
        for document in documents_of(manifest)
        for each in document["spec"].get("volumeClaimTemplates", [])
    }
    volumes = {each["name"] for each in pod["volumes"]} | claimed
    for container in (*pod["initContainers"], *pod["containers"]):
        locked = container["securityContext"]
        assert locked["readOnlyRootFilesystem"] is True
        assert locked["allowPrivilegeEscalation"] is False
        assert locked["capabilities"] == {"drop": ["ALL"]}
        assert {each["name"] for each in container["volumeMounts"]} <= volumes
        secret = [each for each in container["volumeMounts"] if each["name"] == "secret"]
        assert all(each["readOnly"] for each in secret)


def test_nobody_comes_in_at_a_hospital_and_the_server_has_one_port():
    hospital = documents_of(REPOSITORY / "scripts" / "kubernetes" / "hospital.yaml")
    kinds = [each["kind"] for each in hospital]
    assert not {"Service", "Ingress"} & set(kinds)
    policy = hospital[kinds.index("NetworkPolicy")]["spec"]
    assert policy["ingress"] == []
    assert "Ingress" in policy["policyTypes"]
    service, server = documents_of(REPOSITORY / "scripts" / "kubernetes" / "server.yaml")
    assert [each["port"] for each in service["spec"]["ports"]] == [8102]
    assert server["spec"]["replicas"] == 1
    port = compose("federate_provision", ["hospitals=[a]", "host=x"]).port
    assert service["spec"]["ports"][0]["targetPort"] == port
