#!/bin/sh
# Says whether this host can do what is asked of it: `aegisbpf doctor`. Needs neither root nor the agent.
#
#   verify_env.sh [--strict] [--require enforce|audit] [--json]
#
# AEGIS_BIN names the binary. Exit status: 0 it can, 1 it cannot, or with --strict something is doubtful, 2 nothing works.
set -eu
exec "${AEGIS_BIN:-aegisbpf}" doctor "$@"
