"""OpenVINO: its devices, what they compute in, and which faster precisions were proven here."""

from __future__ import annotations

import json
import sys
from collections import Counter
from importlib import metadata
from typing import Any

from edgecount.cli._doctor.check import Check
from edgecount.cli._doctor.commands import SECONDS_TO_LOAD, Ask, ask

_ADVICE = 'run  pip install --upgrade "edgecount[openvino]"'


def openvino(ask: Ask = ask) -> Check:
    """Load it in another process, and tell what `--precision auto` takes on the CPU."""
    try:
        metadata.version("openvino")
    except metadata.PackageNotFoundError:
        return Check("openvino", "ok", "not installed")
    code = (
        f"import sys; sys.path = {sys.path!r}\n"
        "import json\n"
        "from edgecount.runtime.backends.openvino import library, precision\n"
        "devices = library.list_devices()\n"
        "print(json.dumps({'version': library.version(), 'faster': precision.faster_precision('CPU'"
        "), 'devices': {d: [n, sorted(library.capabilities(d))] for d, n in devices.items()}}))\n"
    )
    answer = ask(sys.executable, "-c", code, timeout=SECONDS_TO_LOAD)
    try:
        facts = json.loads(answer.text.splitlines()[-1]) if answer.ok else None
        found = None if facts is None else _found(facts)
    except (ValueError, LookupError, TypeError):
        found = None
    if found is None:
        text = answer.text.removeprefix("edgecount.errors.BackendError: ")
        return Check("openvino", "warn", f"does not load: {text}", _ADVICE)
    return Check("openvino", "ok", f"{found}; {_proofs()}")


def _found(facts: dict[str, Any]) -> str:
    devices = ", ".join(
        f"{device} ({name}: {' '.join(can)})" for device, (name, can) in facts["devices"].items()
    )
    faster = facts["faster"]
    auto = f"{faster} where its counts were proven" if faster else "float32"
    return f"{facts['version']} with {devices}; auto computes float32 models in {auto}"


def _proofs() -> str:
    from edgecount.runtime.backends.proofs import list_proofs

    names = Counter(
        f"{proof.file} in {proof.precision} {'passed' if proof.passed else 'refused'}"
        for proof in list_proofs()
    )
    # Exports give their files the same names.
    held = [name if number == 1 else f"{name} ({number} files)" for name, number in names.items()]
    return f"proofs held: {', '.join(held)}" if held else "no proofs held"
