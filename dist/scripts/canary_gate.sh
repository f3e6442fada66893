#!/bin/sh
# The staged canary: `aegisbpf canary`, with what runbooks set as variables:
#
#   PHASE=audit|enforce|both  DURATION_SECONDS  MAX_RINGBUF_DROPS  MAX_EVENT_DROP_RATIO_PCT  MIN_TOTAL_DECISIONS
#   MAX_RSS_GROWTH_KB  ENFORCE_SIGNAL=none|term|int|kill  ALLOW_SIGKILL_CANARY=1
#
# The binary reads these itself. AEGIS_BIN names the binary. Arguments go to the command: --policy FILE, --out DIR,
# --attach, --allow-unsigned-policy, and after `--` a workload.
#
# Exit status: 0 passed, 1 a threshold was not kept, 2 no verdict, 64 wrong usage, 69 cannot enforce here.
set -eu
exec "${AEGIS_BIN:-aegisbpf}" canary "$@"
