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

#include "kernel.h"
#include "maps.bpf.h"

struct decision {
	struct aegis_inode inode;
	u64 policy_generation;
	u32 generation;
	u32 hook;
	u32 op;
	u32 mode;
	u32 rule;
	s32 error;
	/* enum aegis_event_flag */
	u32 flags;
	/* The object. */
	struct path *path;
};

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
 * components are missing.
 *
 * *at lives in the record and is read back in every turn: the verifier then
 * knows nothing about it but what the check says, and the turns look alike to
 * it. Kept in a register, its ever wider range made the verifier give up
 * (v6.12).
 */
static __always_inline int walk(u8 *data, volatile u32 *at, u32 room, u32 name_room, u32 depth, const struct path *path)
{
	struct vfsmount *vfsmount = BPF_CORE_READ(path, mnt);
	struct dentry *dentry = BPF_CORE_READ(path, dentry);
	struct mount *mount = (void *)vfsmount - bpf_core_field_offset(struct mount, mnt);

	for (u32 i = 0; i < depth; i++) {
		struct dentry *root = BPF_CORE_READ(mount, mnt.mnt_root);
		struct dentry *parent = BPF_CORE_READ(dentry, d_parent);
		u32 to = *at;
		long len;

		if (dentry == root || dentry == parent) {
			struct mount *above = BPF_CORE_READ(mount, mnt_parent);

			/* The top of the mount tree, or of a file system that is not mounted
       * anywhere (pipefs, memfd). */
			if (above == mount || dentry != root)
				return 0;
			dentry = BPF_CORE_READ(mount, mnt_mountpoint);
			mount = above;
			continue;
		}
		if (to > room - name_room)
			return 1;
		len = bpf_probe_read_kernel_str(data + to, name_room, BPF_CORE_READ(dentry, d_name.name));
		if (len <= 0 || len >= name_room)
			return 1;
		*at = to + len;
		dentry = parent;
	}
	return 1;
}

static __always_inline void describe_task(struct aegis_event *event, struct task_struct *task)
{
	u64 pid_tgid = bpf_get_current_pid_tgid();
	u64 uid_gid = bpf_get_current_uid_gid();
	struct pid *pid = BPF_CORE_READ(task, thread_pid);
	u32 level = BPF_CORE_READ(pid, level);
	struct upid *upid =
		(void *)pid + bpf_core_field_offset(struct pid, numbers) + level * bpf_core_type_size(struct upid);

	event->pid = pid_tgid >> 32;
	event->tid = pid_tgid;
	event->ppid = BPF_CORE_READ(task, real_parent, tgid);
	event->uid = uid_gid;
	event->gid = uid_gid >> 32;
	event->cgroup = bpf_get_current_cgroup_id();
	event->mount_ns = BPF_CORE_READ(task, nsproxy, mnt_ns, ns.inum);
	event->pid_ns = BPF_CORE_READ(upid, ns, ns.inum);
	bpf_get_current_comm(event->comm, sizeof(event->comm));
}

/* Returns non-zero when both paths are complete. */
static __always_inline int fill(struct aegis_event *event, u8 *data, u32 room, u32 name_room, u32 depth,
				const struct decision *why)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct file *exe = BPF_CORE_READ(task, mm, exe_file);

	event->kind = why->error ? AEGIS_KIND_DENY : AEGIS_KIND_WOULD_DENY;
	event->time_ns = bpf_ktime_get_boot_ns();
	event->policy_generation = why->policy_generation;
	event->inode = why->inode;
	event->generation = why->generation;
	event->hook = why->hook;
	event->op = why->op;
	event->mode = why->mode;
	event->rule = why->rule;
	event->error = why->error;
	event->flags = why->flags;
	describe_task(event, task);
	/* exe_len serves as the position in data until both paths are there. */
	event->exe_len = 0;
	if (walk(data, &event->exe_len, room, name_room, depth, why->path))
		event->flags |= AEGIS_EVENT_PATH_CUT;
	event->path_len = event->exe_len;
	/* A kernel thread has no executable. */
	if (exe && walk(data, &event->exe_len, room, name_room, depth, __builtin_preserve_access_index(&exe->f_path)))
		event->flags |= AEGIS_EVENT_EXE_CUT;
	event->size = sizeof(*event) + event->exe_len;
	event->exe_len -= event->path_len;
	return !(event->flags & (AEGIS_EVENT_PATH_CUT | AEGIS_EVENT_EXE_CUT));
}

static __always_inline void emit(const struct decision *why)
{
	struct small_record *small = bpf_ringbuf_reserve(&events, sizeof(*small), 0);
	struct large_record *large;

	if (!small)
		goto lost;
	if (fill(&small->event, small->data, AEGIS_SMALL_BYTES, AEGIS_SMALL_NAME_BYTES, AEGIS_SMALL_DEPTH, why)) {
		bpf_ringbuf_submit(small, 0);
		count(AEGIS_COUNT_SUBMITTED);
		return;
	}
	bpf_ringbuf_discard(small, 0);
	large = bpf_ringbuf_reserve(&events, sizeof(*large), 0);
	if (!large)
		goto lost;
	fill(&large->event, large->data, AEGIS_LARGE_BYTES, AEGIS_NAME_BYTES, AEGIS_LARGE_DEPTH, why);
	bpf_ringbuf_submit(large, 0);
	count(AEGIS_COUNT_SUBMITTED);
	return;
lost:
	count(AEGIS_COUNT_LOST);
}

#endif
