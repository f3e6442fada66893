/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 OR MIT */
/* What the programs and the agent share: one control block, the rule sets of
 * each slot, counters and events. */
#ifndef AEGIS_MAPS_BPF_H
#define AEGIS_MAPS_BPF_H

/* First: bpf_helpers.h uses its types. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "abi.h"

/* A data section of its own, so that the agent can map it and a decision
 * reaches it without a lookup. */
struct aegis_control control SEC(".data.control");

/*
 * A rule set is a few maps, each made as large as its policy needs and frozen
 * once filled. An outer map holds one for each slot; the number of entries of
 * the inner definition is only a template (kernel v5.10, 134fede4eecf). Sizes,
 * not types: clang 14 leaves types that only an inner definition names
 * incomplete in the BTF.
 */
#define RULE_SETS_OF(name, kind, flags, key_type, value_type)                                                          \
	struct {                                                                                                       \
		__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);                                                              \
		__uint(max_entries, AEGIS_SLOTS);                                                                      \
		__type(key, u32);                                                                                      \
		__type(value, u32);                                                                                    \
		__array(                                                                                               \
			values, struct {                                                                               \
				__uint(type, kind);                                                                    \
				__uint(map_flags, flags);                                                              \
				__uint(max_entries, 1);                                                                \
				__uint(key_size, sizeof(key_type));                                                    \
				__uint(value_size, sizeof(value_type));                                                \
			});                                                                                            \
	} name SEC(".maps")

#define RULE_SETS(name, key_type, value_type) RULE_SETS_OF(name, BPF_MAP_TYPE_HASH, 0, key_type, value_type)

RULE_SETS(cgroups, u64, struct aegis_cgroup);

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, AEGIS_COUNTERS);
	__type(key, u32);
	__type(value, u64);
} counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, AEGIS_EVENT_MIB * 1024 * 1024);
} events SEC(".maps");

/*
 * The policy in force. One read of control.active decides; only for a policy that waits to be confirmed the clock is
 * asked, too: it ends by itself, whether or not any process of ours is alive by then.
 */
static __always_inline u64 policy_in_force(void)
{
	u64 active = *(volatile u64 *)&control.active;

	if (active & AEGIS_PROVISIONAL && bpf_ktime_get_boot_ns() >= *(volatile u64 *)&control.revert_at)
		return *(volatile u64 *)&control.revert_to;
	return active;
}

static __always_inline u32 slot_of(u64 active)
{
	return ((active & (AEGIS_PROVISIONAL - 1)) - 1) % AEGIS_SLOTS;
}

/* Called, and not in line: for each place from which a map is looked into, the kernel copies the whole program while it
 * loads it (bpf_patch_insn_data(), seen on v6.12). */
static __attribute__((noinline)) int count(u32 counter)
{
	u64 *value = bpf_map_lookup_elem(&counters, &counter);

	if (value)
		*value += 1;
	return 0;
}

#endif
