#!/usr/bin/env python3
"""Renders dist/helm/aegisbpf with Helm's own library, holds it against the schemas of Kubernetes, and prints what
dist/kubernetes/aegisbpf.yaml has to be."""

import sys
from pathlib import Path

import kubernetes_validate
import yaml
from helm_python.chart import Chart, lint

CHART = Path(__file__).resolve().parents[2] / "dist/helm/aegisbpf"
NAMESPACE = "aegisbpf"
VERSIONS = ["1.30", "1.33", "1.36"]

HEADER = """\
# Made by `./dev kubernetes` from dist/helm/aegisbpf and its values: change those.
apiVersion: v1
kind: Namespace
metadata:
  name: aegisbpf
  labels:
    # Volumes of the node are all that is out of the ordinary, and `privileged` is the one level that has them.
    pod-security.kubernetes.io/enforce: privileged
"""

SIGNED = {"policy": {"text": "version=1\n[deny_path]\n/usr/bin/nc\n", "signature": "-----BEGIN SSH SIGNATURE-----\n"}}

# Values that make another chart of it, each of which has to be valid too.
GOOD = [
    {"mode": "enforce", "onDegraded": "audit", "extraArgs": ["--strict", "--guard"], **SIGNED},
    {"policy": {"existingConfigMap": "other"}, "hostPaths": ["/usr", "/etc", "/var/www"]},
    {"image": {"digest": "sha256:" + "0" * 64}, "seccompProfile": {"type": "Unconfined"}, "extraCapabilities": ["SYS_RESOURCE"]},
    {"appArmorProfile": {"type": "Localhost", "localhostProfile": "aegisbpf"}, "seLinuxOptions": {"type": "spc_t"}},
]

# Values that have to be refused, and a word of the refusal.
BAD = [
    ({"mode": "block"}, "mode"),
    ({"privileged": True}, "privileged"),
    ({"hostPaths": ["/etc"]}, "hostPaths"),
    ({"hostPaths": ["/usr", "/"]}, "hostPaths"),
    ({"hostPaths": ["/usr", "/usr/../etc"]}, "hostPaths"),
    ({"hostPaths": ["/usr", "/etc/aegisbpf"]}, "hostPaths"),
    ({"extraCapabilities": ["SYS_ADMIN"]}, "extraCapabilities"),
    ({"extraArgs": ["--enforce"]}, "extraArgs"),
    ({"appArmorProfile": {"type": "RuntimeDefault"}}, "appArmorProfile"),
    ({"image": {"digest": "latest"}}, "digest"),
    ({"policy": {"text": ""}}, "text"),
]


def fail(why):
    sys.exit(f"render.py: {why}")


def render(chart, values):
    """The objects as one text; the order is that of the files' names, so that it never changes."""
    chart.validate_schema(values)
    files = chart.render(values, name="aegisbpf", namespace=NAMESPACE)
    kept = [text.strip() for name, text in sorted(files.items()) if name.endswith(".yaml") and text.strip()]
    return "\n---\n".join(kept) + "\n"


def validate(text):
    count = 0
    for document in yaml.safe_load_all(text):
        for version in VERSIONS:
            kubernetes_validate.validate(document, version, strict=True)
        count += 1
    return count


def exact(chart):
    """A policy comes out as it went in: it is signed byte by byte."""
    text = "  # &<é>\t\n\nversion=1 \n{{ x }}\n- \"a\\\\b\" \n\n\n"
    for document in yaml.safe_load_all(render(chart, {"policy": {"text": text, "signature": text}})):
        if document["kind"] == "ConfigMap" and document["data"] != {"policy.conf": text, "policy.conf.sig": text}:
            fail(f"the policy is changed on its way: {document['data']}")


def main():
    report = lint(CHART, strict=True)
    # That the chart has no icon is all there is to say.
    told = [m for m in report["messages"] if "icon" not in m["error"]]
    if report["total_charts_linted"] != 1 or told or report["errors"]:
        fail(f"helm lint: {report}")
    with Chart.load(CHART) as chart:
        plain = HEADER + "---\n" + render(chart, {})
        objects = validate(plain)
        for values in GOOD:
            objects += validate(render(chart, values))
        exact(chart)
        for values, word in BAD:
            try:
                chart.validate_schema(values)
            except Exception as refused:  # Helm's own error
                if word not in str(refused):
                    fail(f"{values} is refused, but not for {word}: {refused}")
            else:
                fail(f"{values} is accepted")
    # The validator has to find what is wrong, or it says nothing.
    try:
        validate(plain.replace("hostPID: false", "hostPids: false"))
    except kubernetes_validate.ValidationError:
        pass
    else:
        fail("the validator accepts a field that there is not")
    print(f"{objects} objects are valid for Kubernetes {', '.join(VERSIONS)}; {len(BAD)} values refused", file=sys.stderr)
    print(plain, end="")


main()
