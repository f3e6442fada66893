/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 OR MIT */
/*
 * The self-guard's own hooks. They are attached with --guard alone, and refuse to others what only the agent may do.
 *
 *   bpf_map, bpf_prog    refuse a descriptor of a map or program of ours, by id or by pin (guard.bpf). Links need none:
 *                        those of tracing programs know neither BPF_LINK_DETACH nor BPF_LINK_UPDATE (v5.10 to v7.3)
 *   sb_mount, move_mount refuse to mount over the way to our pins (guard.mounts)
 *   sb_umount            refuses to unmount what that way leads through (guard.mounts)
 *   ptrace_access_check  refuses to trace the agent, to write its memory, to take its descriptors (guard.trace)
 *   task_kill            refuses signals to the agent and its helper, but those of init and of the kernel (guard.signal)
 *   task_prctl           refuses to take on the name of another binary: /proc/PID/exe is who somebody is (guard.trace)
 *   guard_open           at file_open: refuses to open the enrolled binary for writing (guard.binary), and to execute it
 *                        under a tracer (guard.trace)
 *
 * The hooks for names, which keep our pins, are those of entry.bpf.h.
 */
#ifndef AEGIS_GUARD_BPF_H
#define AEGIS_GUARD_BPF_H

#include "keep.bpf.h"

/* 0 is the id of nothing. */
GLOBAL u32 is_our_map(u64 id)
{
	for (u32 i = 0; i < AEGIS_GUARDED_MAPS; i++)
		if (control.guard.maps[i] == (u32)id)
			return !!id;
	return 0;
}

GLOBAL u32 is_our_program(u64 id)
{
	for (u32 i = 0; i < AEGIS_GUARDED_PROGRAMS; i++)
		if (control.guard.programs[i] == (u32)id)
			return !!id;
	return 0;
}

static __always_inline int check_map(u64 *ctx, u32 hook)
{
	struct bpf_map *map = (void *)number_at(&ctx[0]);
	u32 id;

	if (is_under_proof(hook))
		return 1;
	if (!is_armed())
		return 0;
	id = BPF_CORE_READ(map, id);
	return is_our_map(id) && !is_agent() && refuse(hook, id, 0, 0, 0);
}

HOOK(bpf_map, AEGIS_HOOK_BPF_MAP, none_passes, all_concern, check_map);

static __always_inline int check_prog(u64 *ctx, u32 hook)
{
	struct bpf_prog *program = (void *)number_at(&ctx[0]);
	u32 id;

	if (is_under_proof(hook))
		return 1;
	if (!is_armed())
		return 0;
	id = BPF_CORE_READ(program, aux, id);
	return is_our_program(id) && !is_agent() && refuse(hook, id, 0, 0, 0);
}

HOOK(bpf_prog, AEGIS_HOOK_BPF_PROG, none_passes, all_concern, check_prog);

static __always_inline struct mount *mount_behind(u64 vfsmount)
{
	return (void *)vfsmount - bpf_core_field_offset(struct mount, mnt);
}

/* Whether what is mounted or unmounted at one of two mounts happens at the other as well. */
static __always_inline int are_one(struct mount *one, struct mount *other)
{
	int group = BPF_CORE_READ(one, mnt_group_id);

	return one == other || (group && group == BPF_CORE_READ(other, mnt_group_id));
}

/* Whether the way to our pins leads over a place: what is mounted there would hide them. */
GLOBAL u32 is_on_the_way(u64 at_dentry, u64 at_mount)
{
	u64 dentry = control.guard.dentry, mount = control.guard.mount, above;

	for (int level = 0; level < AEGIS_PINS_DEPTH; level++) {
		if (dentry == at_dentry && are_one(mount_behind(mount), mount_behind(at_mount)))
			return 1;
		above = dentry_above(dentry, mount, 1);
		if (!above)
			return 0;
		mount = mount_above(dentry, mount, 1);
		dentry = above;
	}
	return 0;
}

/*
 * Whether the way to our pins leads through a mount: with the last one of their file system they are gone, whether that
 * is unmounted itself or with what it is mounted below. A copy in another mount namespace counts where it goes along
 * with ours.
 */
GLOBAL u32 carries_pins(u64 vfsmount)
{
	struct mount *asked = mount_behind(vfsmount), *parent = BPF_CORE_READ(asked, mnt_parent);
	struct dentry *place = BPF_CORE_READ(asked, mnt_mountpoint);
	struct mount *ours = mount_behind(control.guard.mount);

	for (int level = 0; level < AEGIS_PINS_DEPTH; level++) {
		struct mount *above = BPF_CORE_READ(ours, mnt_parent);

		if (ours == asked || (place == BPF_CORE_READ(ours, mnt_mountpoint) && are_one(above, parent)))
			return 1;
		if (above == ours)
			return 0;
		ours = above;
	}
	return 0;
}

/* The host goes down by init's hand. */
static __always_inline int is_init(void)
{
	return bpf_get_current_pid_tgid() >> 32 == 1;
}

static __always_inline int refuse_at(u32 hook, u64 dentry_address, u64 mount)
{
	struct dentry *dentry = (void *)dentry_address;

	if (is_init() || is_agent())
		return 0;
	return refuse(hook, 0, (u64)BPF_CORE_READ(dentry, d_inode), dentry_address, mount);
}

/* (device, path, type, flags, data) */
static __always_inline int check_mounted(u64 *ctx, u32 hook)
{
	struct path *path = (void *)number_at(&ctx[1]);
	u64 flags = ctx[3], dentry, mount;

	if (is_under_proof(hook))
		return 1;
	/* How a mount spreads is nothing to what is there. */
	if (!is_armed() || flags & (MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE))
		return 0;
	dentry = (u64)BPF_CORE_READ(path, dentry);
	mount = (u64)BPF_CORE_READ(path, mnt);
	if (flags & MS_REMOUNT) {
		/* Made read-only, it takes no pin of ours. A bind mount of others may be. */
		if (BPF_CORE_READ(path, mnt, mnt_sb, s_dev) != control.guard.pins.dev ||
		    (flags & MS_BIND && mount != control.guard.mount))
			return 0;
		return refuse_at(hook, dentry, mount);
	}
	return is_on_the_way(dentry, mount) && refuse_at(hook, dentry, mount);
}

HOOK(sb_mount, AEGIS_HOOK_SB_MOUNT, none_passes, all_concern, check_mounted);

/* (from, to) */
static __always_inline int check_moved(u64 *ctx, u32 hook)
{
	struct path *from = (void *)number_at(&ctx[0]), *to = (void *)number_at(&ctx[1]);
	u64 dentry, mount;

	if (is_under_proof(hook))
		return 1;
	if (!is_armed())
		return 0;
	dentry = (u64)BPF_CORE_READ(to, dentry);
	mount = (u64)BPF_CORE_READ(to, mnt);
	return (is_on_the_way(dentry, mount) || carries_pins((u64)BPF_CORE_READ(from, mnt))) &&
	       refuse_at(hook, dentry, mount);
}

HOOK(move_mount, AEGIS_HOOK_MOVE_MOUNT, none_passes, all_concern, check_moved);

/* (mount, flags) */
static __always_inline int check_unmounted(u64 *ctx, u32 hook)
{
	u64 mount = number_at(&ctx[0]);
	struct vfsmount *asked = (void *)mount;

	if (is_under_proof(hook))
		return 1;
	return is_armed() && carries_pins(mount) && refuse_at(hook, (u64)BPF_CORE_READ(asked, mnt_root), mount);
}

HOOK(sb_umount, AEGIS_HOOK_SB_UMOUNT, none_passes, all_concern, check_unmounted);

/* Something about a process of ours: the event shows its executable, and the process by its number. */
static __always_inline int refuse_about(u32 hook, u64 address)
{
	struct task_struct *task = (void *)address;
	struct file *exe = BPF_CORE_READ(task, mm, exe_file);

	return refuse(hook, BPF_CORE_READ(task, tgid), (u64)BPF_CORE_READ(exe, f_inode),
		      (u64)BPF_CORE_READ(exe, f_path.dentry), (u64)BPF_CORE_READ(exe, f_path.mnt));
}

/* (process, mode). Looking is free: what `ps` shows, and /proc/PID/exe. */
static __always_inline int check_traced(u64 *ctx, u32 hook)
{
	u64 task = number_at(&ctx[0]);

	if (is_under_proof(hook))
		return 1;
	if (!is_armed() || !(ctx[1] & PTRACE_MODE_ATTACH))
		return 0;
	return executes_enrolled(task) && !is_agent() && refuse_about(hook, task);
}

HOOK(ptrace_access_check, AEGIS_HOOK_PTRACE_ACCESS_CHECK, none_passes, all_concern, check_traced);

/* (process, what is known of the signal, signal, credentials); signal 0 only asks whether there is such a process. */
static __always_inline int check_signal(u64 *ctx, u32 hook)
{
	u64 address = number_at(&ctx[0]);
	struct task_struct *task = (void *)address;
	u32 process;

	if (is_under_proof(hook))
		return 1;
	if (!is_armed() || ctx[1] == SEND_SIG_PRIV || !(u32)ctx[2])
		return 0;
	process = BPF_CORE_READ(task, tgid);
	if (process != control.guard.agent && process != control.guard.helper)
		return 0;
	return !is_init() && executes_enrolled(address) && !is_agent() && refuse_about(hook, address);
}

HOOK(task_kill, AEGIS_HOOK_TASK_KILL, none_passes, all_concern, check_signal);

/* (option, argument, …) */
static __always_inline int check_prctl(u64 *ctx, u32 hook)
{
	u32 option = ctx[0];

	if (option != PR_SET_MM)
		return 0;
	if (is_under_proof(hook))
		return 1;
	if (!is_armed() || (ctx[1] != PR_SET_MM_EXE_FILE && ctx[1] != PR_SET_MM_MAP))
		return 0;
	return refuse_about(hook, bpf_get_current_task());
}

HOOK(task_prctl, AEGIS_HOOK_TASK_PRCTL, none_passes, all_concern, check_prctl);

static __always_inline int check_guarded_open(u64 *ctx, u32 hook)
{
	struct file *file = (void *)number_at(&ctx[0]);
	struct aegis_inode id = {};
	u32 generation = identify(&id, BPF_CORE_READ(file, f_inode));

	if (is_canary(&id, hook))
		return 1;
	if (!is_armed() || !is_enrolled(&id, generation))
		return 0;
	if (!(BPF_CORE_READ(file, f_flags) & FMODE_EXEC ? is_traced() : BPF_CORE_READ(file, f_mode) & FMODE_WRITE))
		return 0;
	return refuse(hook, 0, (u64)BPF_CORE_READ(file, f_inode), (u64)BPF_CORE_READ(file, f_path.dentry),
		      (u64)BPF_CORE_READ(file, f_path.mnt));
}

HOOK_PROGRAMS(file_open, guard_open, AEGIS_HOOK_GUARD_OPEN, none_passes, all_concern, check_guarded_open);

#endif
