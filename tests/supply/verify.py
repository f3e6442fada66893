#!/usr/bin/env python3
"""verify.py BINARY SBOM: the list of parts is valid CycloneDX, and is what the binary itself says it is made of."""

import json
import struct
import sys
import zlib
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator


def section(elf, wanted):
    """The bytes of a section of a 64-bit little-endian ELF file."""
    offset = struct.unpack_from("<Q", elf, 0x28)[0]
    size, count, names = struct.unpack_from("<HHH", elf, 0x3A)
    headers = [struct.unpack_from("<IIQQQQ", elf, offset + size * i) for i in range(count)]
    for name, _, _, _, at, length in headers:
        start = headers[names][4] + name
        if elf[start : elf.index(b"\0", start)] == wanted:
            return elf[at : at + length]
    sys.exit(f"verify.py: the binary has no section {wanted.decode()}")


def main(binary, sbom):
    text = Path(sbom).read_text()
    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if error:
        sys.exit(f"verify.py: {sbom}: {error}")
    document = json.loads(text)
    components = [document["metadata"]["component"], *document["components"]]
    listed = {(c["name"], c["version"]) for c in components if c.get("scope") != "excluded"}
    embedded = json.loads(zlib.decompress(section(Path(binary).read_bytes(), b".dep-v0")))["packages"]
    linked = {(p["name"], p["version"]) for p in embedded if p.get("kind", "runtime") == "runtime"}
    # A macro is a part for the compiler alone; the binary counts it among the rest.
    macros = {(c["name"], c["version"]) for c in components if c.get("scope") == "excluded"}
    if listed - linked or linked - listed - macros:
        sys.exit(f"verify.py: only listed: {listed - linked}; only in the binary: {linked - listed - macros}")
    print(f"{sbom}: {len(listed)} linked parts, as the binary says; {len(macros)} that only build")


main(*sys.argv[1:])
