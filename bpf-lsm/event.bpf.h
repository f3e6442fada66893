/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 OR MIT */
/*
 * Telling user space about a decision. No decision waits for it: what does not
 * fit the ring buffer is counted as lost.
 *
 * Records are built in ring buffer memory, not in per-CPU scratch: an LSM
 * program can be preempted, and another task that denies something on the same
 * CPU would then write into the same scratch.
 */
#ifndef AEGIS_EVENT_BPF_H
#define AEGIS_EVENT_BPF_H

#include <bpf/bpf_core_read.h>

#include "match.bpf.h"

struct small_record {
	struct aegis_event event;
	u8 data[AEGIS_SMALL_BYTES];
};

struct large_record {
	struct aegis_event event;
	u8 data[AEGIS_LARGE_BYTES];
};

/*
 * Writes the components of a path, last one first, from data[*at] on, and moves
 * *at behind them; crosses mounts as d_path() does. Returns non-zero when
 * components are missing: also where the hook was not told by which mount.
 *
 * *at lives in the record and is read back in every turn: the verifier then
 * knows nothing about it but what the check says, and the turns look alike to
 * it. Kept in a register, its ever wider range made the verifier give up
 * (v6.12).
 */
static __always_inline int walk(u8 *data, volatile u32 *at, u32 room, u32 name_room, u32 depth, u64 dentry_address,
				u64 mount)
{
	for (u32 i = 0; i < depth; i++) {
		struct dentry *dentry = (void *)dentry_address;
		u64 above = dentry_above(dentry_address, mount, 1);
		u64 mount_there = mount_above(dentry_address, mount, 1);
		u32 to = *at;
		long len;

		if (!above)
			return !mount;
		/* The root of what is mounted has no name of its own. */
		if (mount_there == mount) {
			if (to > room - name_room)
				return 1;
			len = bpf_probe_read_kernel_str(data + to, name_room, BPF_CORE_READ(dentry, d_name.name));
			if (len <= 0 || len >= name_room)
				return 1;
			*at = to + len;
		}
		dentry_address = above;
		mount = mount_there;
	}
	return 1;
}

/* The same for a cgroup, by its place in the one hierarchy of version 2. */
static __always_inline int walk_cgroups(u8 *data, volatile u32 *at, u32 room, u32 name_room, u32 depth, u64 address)
{
	for (u32 i = 0; i < depth; i++) {
		struct cgroup *cgroup = (void *)address;
		u64 above = cgroup_above(address);
		u32 to = *at;
		long len;

		/* The root has no name. */
		if (!above)
			return 0;
		if (to > room - name_room)
			return 1;
		len = bpf_probe_read_kernel_str(data + to, name_room, BPF_CORE_READ(cgroup, kn, name));
		if (len <= 0 || len >= name_room)
			return 1;
		*at = to + len;
		address = above;
	}
	return 1;
}

/* Where the name of what a process executes is; of a kernel thread its own name. */
GLOBAL u64 name_of_process(u64 address)
{
	struct task_struct *task = (void *)address;
	const void *name = BPF_CORE_READ(task, mm, exe_file, f_path.dentry, d_name.name);

	return (u64)(name ?: &task->comm);
}

/* The process that begot the rest is its own parent, and has the number 0. */
static __always_inline void describe_ancestors(struct aegis_event *event, struct task_struct *task)
{
	for (u32 i = 0; i < AEGIS_ANCESTORS; i++) {
		struct aegis_ancestor *one = &event->ancestors[i];

		task = BPF_CORE_READ(task, real_parent);
		one->pid = BPF_CORE_READ(task, tgid);
		bpf_probe_read_kernel_str(one->exe, sizeof(one->exe), (void *)name_of_process((u64)task));
	}
}

static __always_inline void describe_task(struct aegis_event *event, struct task_struct *task)
{
	u64 pid_tgid = bpf_get_current_pid_tgid();
	struct pid *pid = BPF_CORE_READ(task, thread_pid);
	u32 level = BPF_CORE_READ(pid, level);
	struct upid *upid =
		(void *)pid + bpf_core_field_offset(struct pid, numbers) + level * bpf_core_type_size(struct upid);

	event->pid = pid_tgid >> 32;
	event->tid = pid_tgid;
	event->mount_ns = BPF_CORE_READ(task, nsproxy, mnt_ns, ns.inum);
	event->pid_ns = BPF_CORE_READ(upid, ns, ns.inum);
	bpf_get_current_comm(event->comm, sizeof(event->comm));
	describe_ancestors(event, task);
}

/* What a record is filled from. */
struct decision {
	u64 asked;
	u64 answer;
	u64 inode;
	u64 dentry;
	u64 mnt;
};

static __always_inline u32 event_flags(u64 answer)
{
	u32 flags = 0;

	if (answer & ANSWER_TOO_DEEP)
		flags |= AEGIS_EVENT_TOO_DEEP;
	if (answer & ANSWER_UNPLACED)
		flags |= AEGIS_EVENT_UNPLACED;
	if (answer & ANSWER_WAY_OUT)
		flags |= AEGIS_EVENT_WAY_OUT;
	return flags;
}

static __always_inline void liken(struct aegis_likeness *like, const struct decision *why)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct file *exe = BPF_CORE_READ(task, mm, exe_file);
	struct dentry *dentry = (void *)why->dentry;
	u64 uid_gid = bpf_get_current_uid_gid();

	like->generation = identify(&like->inode, (void *)why->inode);
	like->policy_generation =
		op_asked(why->asked) & AEGIS_OP_GUARD ? 0 : control.slots[slot_asked(why->asked)].generation;
	like->cgroup = bpf_get_current_cgroup_id();
	like->hook = hook_asked(why->asked) & ~AEGIS_HOOK_AGAIN;
	like->op = op_asked(why->asked);
	like->mode = mode_asked(why->asked);
	like->rule = why->answer;
	like->flags = event_flags(why->answer);
	like->uid = uid_gid;
	like->gid = uid_gid >> 32;
	like->login_uid = bpf_core_field_exists(task->loginuid) ? BPF_CORE_READ(task, loginuid.val) : -1;
	like->dentry = why->dentry;
	like->mount = why->mnt;
	like->directory = (u64)BPF_CORE_READ(dentry, d_parent);
	like->name = BPF_CORE_READ(dentry, d_name.hash_len);
	like->exe_dentry = (u64)BPF_CORE_READ(exe, f_path.dentry);
	like->exe_mount = (u64)BPF_CORE_READ(exe, f_path.mnt);
	like->exe_ino = BPF_CORE_READ(exe, f_inode, i_ino);
}

/*
 * Counts a decision of which the agent has seen many. What stands in a place is compared as a whole: a hash of it could be
 * made to meet that of another decision, which would then not be told.
 */
static __always_inline int is_repeat(const struct aegis_likeness *like)
{
	u64 mixed = (like->dentry ^ like->exe_dentry) * 0x9e3779b97f4a7c15;
	struct aegis_repeat *repeat = &control.repeats.kinds[mixed >> 59];
	u64 now = bpf_ktime_get_boot_ns(), until = *(volatile u64 *)&repeat->until_ns, differs = 0;

	if (now >= until)
		return 0;
	/* No processor reads the rest before what its address hangs off: it was written before `until_ns`. */
	asm volatile("%0 &= 0" : "+r"(until));
	repeat = (void *)repeat + until;
	for (u32 i = 0; i < AEGIS_LIKENESS_WORDS; i++)
		differs |= repeat->like[i] ^ ((const u64 *)like)[i];
	if (differs)
		return 0;
	*(volatile u64 *)&repeat->last_ns = now;
	__sync_fetch_and_add(&repeat->count, 1);
	count(AEGIS_COUNT_SUBMITTED);
	return 1;
}

/* All but the paths. */
static __always_inline void describe(struct aegis_event *event, const struct aegis_likeness *like)
{
	event->kind = like->mode == AEGIS_MODE_ENFORCE ? AEGIS_KIND_DENY : AEGIS_KIND_WOULD_DENY;
	event->error = like->mode == AEGIS_MODE_ENFORCE ? EPERM : 0;
	event->time_ns = bpf_ktime_get_boot_ns();
	event->like = *like;
	event->cut = 0;
	event->pad = 0;
	describe_task(event, (void *)bpf_get_current_task());
}

/* How much a record holds. */
struct room {
	u32 bytes;
	u32 name;
	u32 depth;
	u32 cgroup;
};

/* The paths. Returns non-zero when all are complete. */
static __always_inline int place(struct aegis_event *event, u8 *data, const struct room room,
				 const struct decision *why)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct file *exe = BPF_CORE_READ(task, mm, exe_file);

	/* cgroup_len serves as the position in data until all paths are there. */
	event->cgroup_len = 0;
	if (walk(data, &event->cgroup_len, room.bytes, room.name, room.depth, why->dentry, why->mnt))
		event->cut |= AEGIS_EVENT_PATH_CUT;
	event->path_len = event->cgroup_len;
	/* A kernel thread has no executable. */
	if (exe && walk(data, &event->cgroup_len, room.bytes, room.name, room.depth,
			(u64)BPF_CORE_READ(exe, f_path.dentry), (u64)BPF_CORE_READ(exe, f_path.mnt)))
		event->cut |= AEGIS_EVENT_EXE_CUT;
	event->exe_len = event->cgroup_len - event->path_len;
	if (walk_cgroups(data, &event->cgroup_len, room.bytes, room.cgroup, AEGIS_CGROUP_NAMES,
			 (u64)BPF_CORE_READ(task, cgroups, dfl_cgrp)))
		event->cut |= AEGIS_EVENT_CGROUP_CUT;
	event->size = sizeof(*event) + event->cgroup_len;
	event->cgroup_len -= event->path_len + event->exe_len;
	return !event->cut;
}

/* The last part of the ring buffer is for what was denied: what would have been leaves it alone. */
static __always_inline int has_room(u64 asked)
{
	return mode_asked(asked) == AEGIS_MODE_ENFORCE ||
	       bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) < (AEGIS_EVENT_MIB - AEGIS_DENY_MIB) * 1024 * 1024;
}

static __always_inline struct small_record *reserve(u64 asked)
{
	return has_room(asked) ? bpf_ringbuf_reserve(&events, sizeof(struct small_record), 0) : NULL;
}

static const struct room SMALL = { AEGIS_SMALL_BYTES, AEGIS_SMALL_NAME_BYTES, AEGIS_SMALL_DEPTH,
				   AEGIS_SMALL_CGROUP_BYTES };
static const struct room LARGE = { AEGIS_LARGE_BYTES, AEGIS_NAME_BYTES, AEGIS_LARGE_DEPTH, AEGIS_NAME_BYTES };

/* A path that does not fit arrives marked as cut. */
GLOBAL u32 emit_small(u64 asked, u64 answer, u64 inode, u64 dentry, u64 mnt)
{
	const struct decision why = { asked, answer, inode, dentry, mnt };
	struct aegis_likeness like = {};
	struct small_record *small;

	liken(&like, &why);
	if (is_repeat(&like))
		return 0;
	small = reserve(asked);
	if (!small) {
		count(AEGIS_COUNT_LOST);
		return 0;
	}
	describe(&small->event, &like);
	place(&small->event, small->data, SMALL, &why);
	bpf_ringbuf_submit(small, 0);
	count(AEGIS_COUNT_SUBMITTED);
	return 0;
}

/* A path that does not fit gets a larger record. */
GLOBAL u32 emit(u64 asked, u64 answer, u64 inode, u64 dentry, u64 mnt)
{
	const struct decision why = { asked, answer, inode, dentry, mnt };
	struct aegis_likeness like = {};
	struct small_record *small;
	struct large_record *large;

	liken(&like, &why);
	if (is_repeat(&like))
		return 0;
	small = reserve(asked);
	if (!small)
		goto lost;
	describe(&small->event, &like);
	if (place(&small->event, small->data, SMALL, &why)) {
		bpf_ringbuf_submit(small, 0);
		count(AEGIS_COUNT_SUBMITTED);
		return 0;
	}
	large = bpf_ringbuf_reserve(&events, sizeof(*large), 0);
	if (large) {
		__builtin_memcpy(&large->event, &small->event, sizeof(large->event));
		large->event.cut = 0;
	}
	bpf_ringbuf_discard(small, 0);
	if (!large)
		goto lost;
	place(&large->event, large->data, LARGE, &why);
	bpf_ringbuf_submit(large, 0);
	count(AEGIS_COUNT_SUBMITTED);
	return 0;
lost:
	count(AEGIS_COUNT_LOST);
	return 0;
}

#endif
