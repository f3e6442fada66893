/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 OR MIT */
/*
 * From an operation to its refusal: the policy in force, the canary, what a match leads to; and the two copies of each
 * program.
 */
#ifndef AEGIS_DECIDE_BPF_H
#define AEGIS_DECIDE_BPF_H

#include "event.bpf.h"
#include "filter.bpf.h"

/*
 * What a decision hangs off: one read of control.active, so that at no instant two policies apply. Non-zero: nothing is
 * denied at all.
 */
static __always_inline int nothing_denied(u32 *slot, u32 op)
{
	u64 active = policy_in_force();

	*slot = slot_of(active);
	return !active || *(volatile u32 *)&control.mode == AEGIS_MODE_OFF || !(control.slots[*slot].ops & op);
}

/* The canary is denied to the prover alone, at the hook under proof alone, in every mode. */
static __always_inline int is_canary(const struct aegis_inode *id, u32 hook)
{
	return control.prover_hook == hook && id->ino == control.canary.ino && id->dev == control.canary.dev &&
	       control.prover_tgid == bpf_get_current_pid_tgid() >> 32;
}

/* For hooks that are asked about no file: whether the current process puts this one to the test. */
static __always_inline int is_under_proof(u32 hook)
{
	return control.prover_hook == hook && control.prover_tgid == bpf_get_current_pid_tgid() >> 32;
}

static __always_inline int is_canary_inode(struct inode *inode, u32 hook)
{
	struct aegis_inode id = {};

	if (control.prover_hook != hook)
		return 0;
	identify(&id, inode);
	return is_canary(&id, hook);
}

/* Counts, and returns the mode in which the denial happens. */
static __always_inline u32 denial_mode(void)
{
	u32 mode = *(volatile u32 *)&control.mode;

	if (control.break_glass || mode == AEGIS_MODE_OFF)
		mode = AEGIS_MODE_AUDIT;
	count(mode == AEGIS_MODE_ENFORCE ? AEGIS_COUNT_DENIED : AEGIS_COUNT_WOULD_DENY);
	return mode;
}

/* What an answer leads to: telling, and non-zero to refuse. */
static __always_inline int conclude(u64 asked, u64 answer, u64 inode, u64 dentry, u64 mnt)
{
	u32 mode;

	if (!(answer & ANSWER_DENIED))
		return 0;
	mode = denial_mode();
	emit_small(with_mode(asked, mode), answer, inode, dentry, mnt);
	return mode == AEGIS_MODE_ENFORCE;
}

/* The same for a file. Only opens are told with paths of any length: what it costs to verify is paid at each start. */
static __always_inline int conclude_file(u64 asked, u64 answer, u64 address, u32 hook)
{
	struct file *file = (void *)address;
	u64 inode, dentry, mnt;
	u32 mode;

	if (!(answer & ANSWER_DENIED))
		return 0;
	inode = (u64)BPF_CORE_READ(file, f_inode);
	dentry = (u64)BPF_CORE_READ(file, f_path.dentry);
	mnt = (u64)BPF_CORE_READ(file, f_path.mnt);
	if ((hook & ~AEGIS_HOOK_AGAIN) != AEGIS_HOOK_FILE_OPEN)
		return conclude(asked, answer, inode, dentry, mnt);
	mode = denial_mode();
	emit(with_mode(asked, mode), answer, inode, dentry, mnt);
	return mode == AEGIS_MODE_ENFORCE;
}

/*
 * The second copies. The kernel skips a tracing program for a task that arrives while another task is preempted inside
 * that program on the same CPU (__bpf_prog_enter, v5.12, ca06f55b9002): as modify-return, the operation would pass
 * undecided. So each hook has a second program behind the first. The first leaves a mark when it has let an operation
 * pass; the second takes the mark away and is done, or finds none and decides itself. BPF LSM programs are never
 * skipped, and there the first copy is alone and leaves no mark.
 */
const volatile u32 backed_up = 0;

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, AEGIS_HOOKS);
	__type(key, u32);
	__type(value, u64);
} passed SEC(".maps");

/* A mark holds for as long as the filter does: the second copy may see another, and then decides itself. */
static __always_inline u64 mark_of(u64 head)
{
	return bpf_get_current_task() ^ head;
}

static __always_inline void leave_mark(u32 hook, u64 head)
{
	u64 *mark;

	/* While the second copy is under proof it decides alone. */
	if (!backed_up || control.prover_hook == (hook | AEGIS_HOOK_AGAIN))
		return;
	mark = bpf_map_lookup_elem(&passed, &hook);
	if (mark)
		*mark = mark_of(head);
}

static __always_inline int take_mark(u32 hook, u64 head)
{
	u64 *mark = bpf_map_lookup_elem(&passed, &hook);

	if (!mark || *mark != mark_of(head))
		return 0;
	*mark = 0;
	return 1;
}

/*
 * Both copies of the program of the hook `function`. First `passes` tells in a few instructions that no rule can be about
 * what is asked; where it cannot tell, `concerns` does; what is left `check` decides, and non-zero refuses.
 */
#define HOOK_PROGRAMS(function, program, hook, passes, concerns, check)                                                \
	static __attribute__((noinline)) int program##_decides(u64 *ctx)                                               \
	{                                                                                                              \
		u64 head = filter_head();                                                                              \
                                                                                                                       \
		if (!concerns(head, ctx))                                                                              \
			return 0;                                                                                      \
		if (check(ctx, hook)) {                                                                                \
			asm volatile("");                                                                              \
			return -EPERM;                                                                                 \
		}                                                                                                      \
		leave_mark(hook, head);                                                                                \
		return 0;                                                                                              \
	}                                                                                                              \
	SEC("lsm/" #function)                                                                                          \
	int program(u64 *ctx)                                                                                          \
	{                                                                                                              \
		return passes(ctx) ? 0 : program##_decides(ctx);                                                       \
	}                                                                                                              \
	static __attribute__((noinline)) int program##_decides_again(u64 *ctx)                                         \
	{                                                                                                              \
		u64 head = filter_head();                                                                              \
                                                                                                                       \
		if (!concerns(head, ctx) || take_mark(hook, head))                                                     \
			return 0;                                                                                      \
		if (check(ctx, hook | AEGIS_HOOK_AGAIN)) {                                                             \
			asm volatile("");                                                                              \
			return -EPERM;                                                                                 \
		}                                                                                                      \
		asm volatile("");                                                                                      \
		return 0;                                                                                              \
	}                                                                                                              \
	SEC("lsm/" #function)                                                                                          \
	int program##_again(u64 *ctx)                                                                                  \
	{                                                                                                              \
		return passes(ctx) ? 0 : program##_decides_again(ctx);                                                 \
	}

#define HOOK(function, hook, passes, concerns, check) HOOK_PROGRAMS(function, function, hook, passes, concerns, check)

static __always_inline int none_passes(u64 *ctx)
{
	return 0;
}

/* Of what is no file the filter knows nothing. */
static __always_inline int all_concern(u64 head, u64 *ctx)
{
	return 1;
}

/*
 * Kernels differ in whether a hook's first argument is how user ids are mapped. The loader takes the second form, which
 * reads the dentry from the first place, where the kernel refuses the first: that reads something which only
 * the longer list has.
 */
#define HOOK_AND_BARE(function, hook, concerns, check, concerns_bare, check_bare)                                      \
	HOOK_PROGRAMS(function, function, hook, none_passes, concerns, check)                                          \
	HOOK_PROGRAMS(function, function##_bare, hook, none_passes, concerns_bare, check_bare)

#endif
