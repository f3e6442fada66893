// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 OR MIT
/*
 * Observation where nothing can be enforced: two raw tracepoints, never a
 * verdict. They need neither BTF nor tracefs nor perf events, so no kernel
 * structure is read here but the system call registers.
 *
 *   sys_enter  execve, execveat                 observes file.exec
 *   sys_exit   open, openat, openat2, creat     observes file.open.read,
 * file.open.write
 *
 * What is compared is the path as the process passed it. Opens are looked at
 * when they return, because by then the page that holds the path is in memory,
 * which a program here could not bring about; an exec that returns has replaced
 * the memory that held it, so it is looked at when it begins.
 */
#include "../bpf-lsm/maps.bpf.h"

RULE_SETS(trace_paths, struct aegis_trace_path, struct aegis_object);
/* A trie is allocated as it grows; the kernel wants to be told so (trie_alloc, v4.11). */
RULE_SETS_OF(trace_trees, BPF_MAP_TYPE_LPM_TRIE, BPF_F_NO_PREALLOC, struct aegis_trace_prefix, struct aegis_object);

/* The path being compared: too large for the stack. A tracepoint program is not
 * preempted by another on its CPU. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct aegis_trace_prefix);
} scratch SEC(".maps");

struct trace_record {
	struct aegis_event event;
	u8 data[AEGIS_TRACE_PATH_BYTES];
};

/*
 * System call numbers and registers, per architecture:
 * arch/x86/include/uapi/asm/ptrace.h and include/uapi/asm-generic/unistd.h, all
 * fixed ABI. ARGUMENT is the register's position among 64-bit words.
 */
enum call {
	CALL_NONE,
	CALL_OPEN,
	CALL_EXEC,
};

#if defined(AEGIS_ARCH_x86_64)
enum {
	NR_OPEN = 2,
	NR_EXECVE = 59,
	NR_CREAT = 85,
	NR_OPENAT = 257,
	NR_EXECVEAT = 322,
	NR_OPENAT2 = 437,
	WORD_NR = 15,
	WORD_ARG0 = 14,
	WORD_ARG1 = 13,
	WORD_ARG2 = 12,
};
#elif defined(AEGIS_ARCH_aarch64)
enum {
	/* Not on this architecture. */
	NR_OPEN = -1,
	NR_CREAT = -2,
	NR_OPENAT = 56,
	NR_EXECVE = 221,
	NR_EXECVEAT = 281,
	NR_OPENAT2 = 437,
	/* arch/arm64/include/asm/ptrace.h: user_pt_regs is regs[31], sp, pc, pstate;
     orig_x0 and syscallno follow. */
	WORD_NR = 35,
	WORD_ARG0 = 0,
	WORD_ARG1 = 1,
	WORD_ARG2 = 2,
};
#else
#error "unknown architecture"
#endif

enum {
	O_ACCMODE = 3,
	O_WRONLY = 1,
	O_RDWR = 2,
	O_PATH = 010000000,
};

static __always_inline u64 word(const void *regs, u32 index)
{
	u64 value = 0;

	bpf_probe_read_kernel(&value, sizeof(value), regs + index * sizeof(u64));
	return value;
}

static __always_inline void emit_trace(const struct aegis_object *object, const struct aegis_trace_prefix *path,
				       u32 len, u32 hook, u32 op, u64 active)
{
	struct trace_record *record = bpf_ringbuf_reserve(&events, sizeof(*record), 0);
	u64 pid_tgid = bpf_get_current_pid_tgid();
	u64 uid_gid = bpf_get_current_uid_gid();

	if (!record) {
		count(AEGIS_COUNT_LOST);
		return;
	}
	__builtin_memset(&record->event, 0, sizeof(record->event));
	record->event.kind = AEGIS_KIND_WOULD_DENY;
	record->event.size = sizeof(record->event) + len;
	record->event.time_ns = bpf_ktime_get_boot_ns();
	record->event.like.policy_generation = active >> 8;
	record->event.like.cgroup = bpf_get_current_cgroup_id();
	record->event.like.hook = hook;
	record->event.like.op = op;
	record->event.like.mode = AEGIS_MODE_AUDIT;
	record->event.like.rule = object->rule;
	record->event.pid = pid_tgid >> 32;
	record->event.tid = pid_tgid;
	record->event.like.uid = uid_gid;
	record->event.like.gid = uid_gid >> 32;
	record->event.like.login_uid = -1;
	record->event.path_len = len;
	bpf_get_current_comm(record->event.comm, sizeof(record->event.comm));
	__builtin_memcpy(record->data, path->path, sizeof(record->data));
	bpf_ringbuf_submit(record, 0);
	count(AEGIS_COUNT_SUBMITTED);
}

/*
 * What the policy says about the current cgroup and those above it. The helper for
 * those above came with v5.17 (95b861a7935b); where it is missing, the object
 * is loaded with this knob at zero, and only the cgroup itself counts.
 */
const volatile u32 cgroup_ancestors = 1;

static __always_inline u32 cgroup_flags(u32 slot)
{
	void *set = bpf_map_lookup_elem(&cgroups, &slot);
	u64 own = bpf_get_current_cgroup_id();
	struct aegis_cgroup *cgroup;
	u32 flags = 0;

	if (!set)
		return 0;
	cgroup = bpf_map_lookup_elem(set, &own);
	if (cgroup)
		flags = cgroup->flags;
	if (!cgroup_ancestors)
		return flags;
	for (int level = 0; level < AEGIS_CGROUP_DEPTH; level++) {
		u64 id = bpf_get_current_ancestor_cgroup_id(level);

		if (!id || flags & AEGIS_CGROUP_ALLOW)
			break;
		cgroup = bpf_map_lookup_elem(set, &id);
		if (cgroup)
			flags |= cgroup->flags;
	}
	return flags;
}

static __always_inline struct aegis_object *find(u32 slot, u32 features, const struct aegis_trace_prefix *path, u32 op)
{
	void *set = bpf_map_lookup_elem(&trace_paths, &slot);
	struct aegis_object *object = set ? bpf_map_lookup_elem(set, path->path) : NULL;

	if (object && object->ops & op)
		return object;
	if (!(features & AEGIS_FEATURE_TREES))
		return NULL;
	set = bpf_map_lookup_elem(&trace_trees, &slot);
	/* The longest beginning that is there; it carries the operations of those that hold it, too. */
	object = set ? bpf_map_lookup_elem(set, path) : NULL;
	return object && object->ops & op ? object : NULL;
}

/* Looks the path up in the active rule set and reports a match. */
static __always_inline void observe(const char *user_path, u32 hook, u32 op)
{
	u64 active = policy_in_force();
	u32 slot = slot_of(active), key = slot, zero = 0, cgroup;
	/* Read before `slot` lies in memory as the key of lookups: from there the verifier would not know its bounds. */
	u32 features = control.slots[slot].features;
	struct aegis_trace_prefix *path;
	struct aegis_object *object;
	long len;

	if (!active || control.mode == AEGIS_MODE_OFF)
		return;
	path = bpf_map_lookup_elem(&scratch, &zero);
	if (!path)
		return;
	__builtin_memset(path, 0, sizeof(*path));
	path->bits = sizeof(path->path) * 8;
	len = bpf_probe_read_user_str(path->path, sizeof(path->path), user_path);
	if (len <= 1 || len >= AEGIS_TRACE_PATH_BYTES)
		return;
	object = find(key, features, path, op);
	if (!object)
		return;
	cgroup = cgroup_flags(key);
	if (cgroup & AEGIS_CGROUP_ALLOW) {
		count(AEGIS_COUNT_ALLOWED_CGROUP);
		return;
	}
	if (features & AEGIS_FEATURE_SCOPE && !(cgroup & AEGIS_CGROUP_SCOPE))
		return;
	count(AEGIS_COUNT_WOULD_DENY);
	emit_trace(object, path, len, hook, op, active);
}

static __always_inline u32 flags_op(u64 flags)
{
	/* Opens nothing. */
	if (flags & O_PATH)
		return 0;
	switch (flags & O_ACCMODE) {
	case O_WRONLY:
		return AEGIS_OP_WRITE;
	case O_RDWR:
		return AEGIS_OP_READ | AEGIS_OP_WRITE;
	}
	return AEGIS_OP_READ;
}

SEC("raw_tracepoint/sys_enter")
int trace_exec(u64 *ctx)
{
	const void *regs = (void *)ctx[0];
	s64 nr = ctx[1];
	u64 path;

	if (nr == NR_EXECVE)
		path = word(regs, WORD_ARG0);
	else if (nr == NR_EXECVEAT)
		path = word(regs, WORD_ARG1);
	else
		return 0;
	observe((void *)path, AEGIS_HOOK_TRACE_EXEC, AEGIS_OP_EXEC);
	return 0;
}

SEC("raw_tracepoint/sys_exit")
int trace_open(u64 *ctx)
{
	const void *regs = (void *)ctx[0];
	s64 nr = (s32)word(regs, WORD_NR);
	u64 how = 0, path;
	u32 op;

	if (nr == NR_OPENAT) {
		path = word(regs, WORD_ARG1);
		op = flags_op(word(regs, WORD_ARG2));
	} else if (nr == NR_OPENAT2) {
		path = word(regs, WORD_ARG1);
		/* The first word of struct open_how is the flags. */
		bpf_probe_read_user(&how, sizeof(how), (void *)word(regs, WORD_ARG2));
		op = flags_op(how);
	} else if (nr == NR_OPEN) {
		path = word(regs, WORD_ARG0);
		op = flags_op(word(regs, WORD_ARG1));
	} else if (nr == NR_CREAT) {
		path = word(regs, WORD_ARG0);
		op = AEGIS_OP_WRITE;
	} else {
		return 0;
	}
	if (op)
		observe((void *)path, AEGIS_HOOK_TRACE_OPEN, op);
	return 0;
}

char _license[] SEC("license") = "GPL";
