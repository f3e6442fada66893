/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 OR MIT */
/*
 * Who counts as the agent, and what is kept from all others while the self-guard is armed. Independent of policy, mode
 * and break-glass; the hooks that nothing else needs are in guard.bpf.h.
 */
#ifndef AEGIS_KEEP_BPF_H
#define AEGIS_KEEP_BPF_H

#include "decide.bpf.h"

static __always_inline int is_armed(void)
{
	return *(volatile u32 *)&control.guard.armed;
}

/* Whether this is an enrolled binary. */
static __always_inline int is_enrolled(const struct aegis_inode *id, u32 generation)
{
	for (int i = 0; i < AEGIS_BINARIES; i++) {
		const struct aegis_binary *binary = &control.guard.enrolled[i];

		if (id->ino && id->ino == binary->inode.ino && id->dev == binary->inode.dev &&
		    id->volume == binary->inode.volume && generation == binary->generation)
			return 1;
	}
	return 0;
}

/* Whether a process executes an enrolled binary. */
GLOBAL u32 executes_enrolled(u64 address)
{
	struct task_struct *task = (void *)address;
	struct inode *inode = BPF_CORE_READ(task, mm, exe_file, f_inode);
	struct aegis_inode id = {};
	u32 generation;

	/* A kernel thread has none. */
	if (!inode)
		return 0;
	generation = identify(&id, inode);
	return is_enrolled(&id, generation);
}

/* A process that is traced does what its tracer wants. */
static __always_inline int is_traced(void)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	return !!BPF_CORE_READ(task, ptrace);
}

static __always_inline int is_agent(void)
{
	return !is_traced() && executes_enrolled(bpf_get_current_task());
}

/* Tells, and refuses: in every mode. */
static __always_inline int refuse(u32 hook, u32 number, u64 inode, u64 dentry, u64 mnt)
{
	count(AEGIS_COUNT_DENIED);
	emit_small(with_mode(question(0, AEGIS_OP_GUARD, hook), AEGIS_MODE_ENFORCE), number, inode, dentry, mnt);
	return 1;
}

/* A name in our pins' directory, or in one below it: PINS/ABI/KIND/NAME. */
GLOBAL u32 check_pin(u64 hook, u64 address)
{
	struct dentry *dentry = (void *)address;
	u32 found = 0;

	if (BPF_CORE_READ(dentry, d_sb, s_dev) != control.guard.pins.dev)
		return 0;
	for (int level = 0; level < 4; level++) {
		if (BPF_CORE_READ(dentry, d_inode, i_ino) == control.guard.pins.ino)
			found = 1;
		dentry = BPF_CORE_READ(dentry, d_parent);
	}
	if (!found || is_agent())
		return 0;
	dentry = (void *)address;
	return refuse(hook, 0, (u64)BPF_CORE_READ(dentry, d_inode), address, (u64)mount_of(dentry));
}

/* Attributes of the enrolled binary, of which size is one. Its name may be changed or removed: an upgrade does. */
GLOBAL u32 check_binary(u64 hook, u64 address)
{
	struct dentry *dentry = (void *)address;
	struct inode *inode = BPF_CORE_READ(dentry, d_inode);
	struct aegis_inode id = {};
	u32 generation = identify(&id, inode);

	if (!is_enrolled(&id, generation))
		return 0;
	return refuse(hook, 0, (u64)inode, address, (u64)mount_of(dentry));
}

#endif
