/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 OR MIT */
/*
 * Hooks that are given a file.
 *
 *   file_open      refuses to open a denied file; every exec opens what it executes, and so does every interpreter
 *   file_receive   refuses a descriptor of a denied file that another process passes on
 *   mmap_file      refuses to map a file executable that may not be executed, as the dynamic loader does
 *   file_mprotect  the same, for a mapping that becomes executable later
 *   file_ioctl     refuses requests that change a file through a descriptor that is open for reading
 *   inode_permission  on request alone (--lsm-hook inode): refuses denied inodes wherever permissions are asked for
 */
#ifndef AEGIS_FILE_BPF_H
#define AEGIS_FILE_BPF_H

#include "decide.bpf.h"

/* Whether `policy simulate` asks about this open. */
static __always_inline int is_asked(const struct aegis_inode *id, u32 hook)
{
	volatile struct aegis_question *question = &control.question;

	return hook == AEGIS_HOOK_FILE_OPEN && question->tgid && id->ino == question->inode.ino &&
	       id->dev == question->inode.dev && question->tgid == bpf_get_current_pid_tgid() >> 32;
}

static __always_inline void tell(u64 answer, u32 hook)
{
	control.question.denied = !!(answer & ANSWER_DENIED);
	control.question.rule = answer;
	control.question.flags = answer & ANSWER_TOO_DEEP ? AEGIS_EVENT_TOO_DEEP : 0;
	control.question.answered = hook;
}

/* The decision about a file. Returns non-zero to refuse. */
static __always_inline int check_file(u64 address, u32 op, u32 hook)
{
	struct file *file = (void *)address;
	struct inode *inode = BPF_CORE_READ(file, f_inode);
	struct aegis_inode id = {};
	u64 asked;
	u32 slot;

	identify(&id, inode);
	if (is_canary(&id, hook))
		return 1;
	if (is_asked(&id, hook)) {
		slot = control.question.slot % AEGIS_SLOTS;
		asked = question(slot, control.question.op, hook);
		tell(match_file(asked, said_of(slot, (u64)inode), address), hook);
		return 1;
	}
	if (nothing_denied(&slot, op))
		return 0;
	asked = question(slot, op, hook);
	return conclude_file(asked, match_file(asked, said_of(slot, (u64)inode), address), address, hook);
}

static __always_inline int opened_passes(u64 *ctx)
{
	struct file *file = (void *)ctx[0];

	return may_pass(file->f_inode);
}

static __always_inline int concerns_opened(u64 head, u64 *ctx)
{
	return may_concern_opened(head, (void *)ctx[0]);
}

static __always_inline u32 mode_op(struct file *file)
{
	u32 op = 0;

	if (file->f_mode & FMODE_READ)
		op |= AEGIS_OP_READ;
	if (file->f_mode & FMODE_WRITE)
		op |= AEGIS_OP_WRITE;
	/* Opened for neither (access mode 3, for ioctl alone): any rule on the file is meant. */
	return op ?: AEGIS_OP_READ | AEGIS_OP_WRITE;
}

static __always_inline int check_open(u64 *ctx, u32 hook)
{
	struct file *file = (void *)ctx[0];

	/* The open that execve(2) makes: not a read by the caller. */
	return check_file(number_at(ctx), file->f_flags & FMODE_EXEC ? AEGIS_OP_EXEC : mode_op(file), hook);
}

HOOK(file_open, AEGIS_HOOK_FILE_OPEN, opened_passes, concerns_opened, check_open);

static __always_inline int concerns_received(u64 head, u64 *ctx)
{
	return may_concern_file(number_at(ctx));
}

static __always_inline int check_receive(u64 *ctx, u32 hook)
{
	struct file *file = (void *)ctx[0];

	if (file->f_mode & FMODE_PATH)
		return 0;
	return check_file(number_at(ctx), mode_op(file), hook);
}

HOOK(file_receive, AEGIS_HOOK_FILE_RECEIVE, none_passes, concerns_received, check_receive);

/* A process with this personality gets every readable mapping executable. */
static __always_inline u32 mapping_op(u64 prot)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	int executable = prot & PROT_EXEC || (prot & PROT_READ && BPF_CORE_READ(task, personality) & READ_IMPLIES_EXEC);

	return executable ? AEGIS_OP_EXEC : 0;
}

/* The prover maps the canary for reading alone: it may not map anything executable any more. */
static __always_inline int is_of_interest(u32 op, u32 hook)
{
	return op || control.prover_hook == hook;
}

/* What is not backed by a file is nobody's. */
static __always_inline int mapped_passes(u64 *ctx)
{
	struct file *file = (void *)ctx[0];

	return !file || may_pass(file->f_inode);
}

static __always_inline int concerns_mapped(u64 head, u64 *ctx)
{
	struct file *file = (void *)ctx[0];

	return file && may_concern_opened(head, file);
}

/* The second argument is what was asked for in both tiers; the third is something else in each. */
static __always_inline int check_mmap(u64 *ctx, u32 hook)
{
	struct file *file = (void *)ctx[0];
	u32 op;

	if (!file)
		return 0;
	op = mapping_op(ctx[1]);
	return is_of_interest(op, hook) && check_file(number_at(ctx), op, hook);
}

HOOK(mmap_file, AEGIS_HOOK_MMAP_FILE, mapped_passes, concerns_mapped, check_mmap);

static __always_inline u64 file_of_area(u64 *ctx)
{
	struct vm_area_struct *vma = (void *)number_at(ctx);

	return (u64)BPF_CORE_READ(vma, vm_file);
}

static __always_inline int concerns_area(u64 head, u64 *ctx)
{
	u64 file;

	if (!mapping_op(ctx[1]) && !control.prover_hook)
		return 0;
	file = file_of_area(ctx);
	return file && may_concern_file(file);
}

static __always_inline int check_mprotect(u64 *ctx, u32 hook)
{
	u32 op = mapping_op(ctx[1]);

	return is_of_interest(op, hook) && check_file(file_of_area(ctx), op, hook);
}

HOOK(file_mprotect, AEGIS_HOOK_FILE_MPROTECT, none_passes, concerns_area, check_mprotect);

/* What a request does to the file. A new version number is a new generation: the file would be another one to a rule. */
static __always_inline u32 ioctl_op(u32 request)
{
	switch (request) {
	case FS_IOC_SETFLAGS:
	case FS_IOC32_SETFLAGS:
	case FS_IOC_FSSETXATTR:
	case FS_IOC_ENABLE_VERITY:
	case FAT_IOCTL_SET_ATTRIBUTES:
		return AEGIS_OP_WRITE;
	case FS_IOC_SETVERSION:
	case FS_IOC32_SETVERSION:
	case EXT4_IOC_SETVERSION:
		return ALL_OPS;
	default:
		return 0;
	}
}

static __always_inline int ioctl_passes(u64 *ctx)
{
	return !ioctl_op(ctx[1]) && !control.prover_hook;
}

static __always_inline int concerns_ioctl(u64 head, u64 *ctx)
{
	return may_concern_file(number_at(ctx));
}

static __always_inline int check_ioctl(u64 *ctx, u32 hook)
{
	u32 op = ioctl_op(ctx[1]);

	return is_of_interest(op, hook) && check_file(number_at(ctx), op, hook);
}

HOOK(file_ioctl, AEGIS_HOOK_FILE_IOCTL, ioctl_passes, concerns_ioctl, check_ioctl);

/* MAY_EXEC, MAY_WRITE, MAY_READ of include/linux/fs.h; on a directory, executing is passing through. */
static __always_inline u32 permission_op(u32 mask)
{
	return (mask & 1 ? AEGIS_OP_EXEC : 0) | (mask & 2 ? AEGIS_OP_WRITE : 0) | (mask & 4 ? AEGIS_OP_READ : 0);
}

static __always_inline int inode_passes(u64 *ctx)
{
	return may_pass((void *)ctx[0]);
}

static __always_inline int concerns_inode(u64 head, u64 *ctx)
{
	struct inode *inode = (void *)number_at(ctx);

	return may_concern_inode((u64)BPF_CORE_READ(inode, i_sb), (u64)inode);
}

/* No dentry is told here: what is denied by name or tree alone is left to the open. */
static __always_inline int check_permission(u64 *ctx, u32 hook)
{
	struct inode *inode = (void *)number_at(ctx);
	u32 op = permission_op(ctx[1]), slot;
	struct aegis_inode id = {};
	struct dentry *dentry;
	u64 said;

	identify(&id, inode);
	if (is_canary(&id, hook))
		return 1;
	if (nothing_denied(&slot, op))
		return 0;
	said = said_of(slot, (u64)inode);
	if (flags_of(said) & AEGIS_OBJECT_FLOOR)
		op &= AEGIS_OP_WRITE;
	if (!(ops_of(said) & op))
		return 0;
	dentry = dentry_of_inode(inode);
	return conclude(question(slot, op, hook), denied_here(slot, said), (u64)inode, (u64)dentry,
			(u64)mount_of(dentry));
}

HOOK(inode_permission, AEGIS_HOOK_INODE_PERMISSION, inode_passes, concerns_inode, check_permission);

#endif
