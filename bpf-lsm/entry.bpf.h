/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 OR MIT */
/*
 * Hooks that are given a name in a directory. To rules all of it is writing.
 *
 *   inode_setattr, inode_file_setattr, inode_setxattr, inode_removexattr, inode_set_acl, inode_remove_acl
 *                    refuse to change size, mode, owner, times, flags, extended attributes of a denied file
 *   inode_unlink, inode_rmdir
 *                    refuse to remove it
 *   inode_rename, inode_link
 *                    refuse to move it or to link it, and to put something else in its place
 *   inode_create, inode_mkdir, inode_mknod, inode_symlink
 *                    refuse to put something in a denied place
 *
 * The hooks of one family are used, and not the path_* ones beside them: those are missing in kernels without
 * CONFIG_SECURITY_PATH, and path_chown cannot be attached to on v5.10. The price is that these are not told by which
 * mount: mount_of() takes the one that the kernel names first.
 */
#ifndef AEGIS_ENTRY_BPF_H
#define AEGIS_ENTRY_BPF_H

#include "keep.bpf.h"

/* The decision about what is at a dentry, or would be. Returns non-zero to refuse. */
GLOBAL u32 check_entry(u64 hook, u64 address)
{
	struct dentry *dentry = (void *)address;
	u64 inode = (u64)BPF_CORE_READ(dentry, d_inode), asked, answer;
	u32 slot;

	if (is_armed() && check_pin(hook, address))
		return 1;
	if (nothing_denied(&slot, AEGIS_OP_WRITE))
		return 0;
	asked = question(slot, AEGIS_OP_WRITE, hook);
	answer = match(asked, inode ? said_of(slot, inode) : 0, address, 0);
	/* Most end here, and need no mount for the path of an event. */
	if (!(answer & ANSWER_DENIED))
		return 0;
	return conclude(asked, answer, inode, address, (u64)mount_of(dentry));
}

/* The decision about what would be at another place. */
GLOBAL u32 check_leaving(u64 hook, u64 from, u64 to)
{
	struct dentry *dentry = (void *)from;
	u64 inode = (u64)BPF_CORE_READ(dentry, d_inode), mnt;
	u32 slot;

	if (nothing_denied(&slot, ALL_OPS) || !inode)
		return 0;
	mnt = (u64)mount_of(dentry);
	return conclude(question(slot, AEGIS_OP_WRITE, hook), leaves(slot, said_of(slot, inode), from, to, mnt), inode,
			from, mnt);
}

/* The self-guard keeps more than rules name. */
static __always_inline int concerns(u64 dentry)
{
	return is_armed() || may_concern_entry(dentry);
}

static __always_inline int concerns_first(u64 head, u64 *ctx)
{
	return concerns(number_at(&ctx[0]));
}

static __always_inline int concerns_second(u64 head, u64 *ctx)
{
	return concerns(number_at(&ctx[1]));
}

/* Attributes: the canary is the file. */
static __always_inline int check_attribute(u64 address, u32 hook)
{
	struct dentry *dentry = (void *)address;

	return is_canary_inode(BPF_CORE_READ(dentry, d_inode), hook) || check_entry(hook, address);
}

static __always_inline int check_first(u64 *ctx, u32 hook)
{
	return check_attribute(number_at(&ctx[0]), hook);
}

static __always_inline int check_second(u64 *ctx, u32 hook)
{
	return check_attribute(number_at(&ctx[1]), hook);
}

/* Behind the arguments is the return value so far; behind that is nothing, and the verifier refuses to read it. */
#define IF_THERE_ARE(arguments) asm volatile("" ::"r"(ctx[arguments]))

/* (idmap, dentry, attributes) from v6.9 on (314a8dc728d0), (dentry, attributes) before. */
static __always_inline int check_setattr(u64 *ctx, u32 hook)
{
	IF_THERE_ARE(3);
	return (is_armed() && check_binary(hook, number_at(&ctx[1]))) || check_second(ctx, hook);
}

static __always_inline int check_setattr_bare(u64 *ctx, u32 hook)
{
	return (is_armed() && check_binary(hook, number_at(&ctx[0]))) || check_first(ctx, hook);
}

HOOK_AND_BARE(inode_setattr, AEGIS_HOOK_INODE_SETATTR, concerns_second, check_setattr, concerns_first,
	      check_setattr_bare);

/* (idmap, dentry, name, value, size, flags) from v5.12 on (71bc356f93a1), without the first before. */
static __always_inline int check_setxattr(u64 *ctx, u32 hook)
{
	IF_THERE_ARE(6);
	return check_second(ctx, hook);
}

HOOK_AND_BARE(inode_setxattr, AEGIS_HOOK_INODE_SETXATTR, concerns_second, check_setxattr, concerns_first, check_first);

/* (idmap, dentry, name), as above. */
static __always_inline int check_removexattr(u64 *ctx, u32 hook)
{
	IF_THERE_ARE(3);
	return check_second(ctx, hook);
}

HOOK_AND_BARE(inode_removexattr, AEGIS_HOOK_INODE_REMOVEXATTR, concerns_second, check_removexattr, concerns_first,
	      check_first);

/* v6.17; what file_setattr(2) and the ioctl(2) requests for flags end in. */
HOOK(inode_file_setattr, AEGIS_HOOK_INODE_FILE_SETATTR, none_passes, concerns_first, check_first);

/* v6.2; before, access control lists are extended attributes like others. */
HOOK(inode_set_acl, AEGIS_HOOK_INODE_SET_ACL, none_passes, concerns_second, check_second);
HOOK(inode_remove_acl, AEGIS_HOOK_INODE_REMOVE_ACL, none_passes, concerns_second, check_second);

/* Names: the canary is the directory. */
static __always_inline int is_canary_directory(u64 *ctx, u32 hook)
{
	return is_canary_inode((void *)ctx[0], hook);
}

/* (directory, dentry, …) */
static __always_inline int check_name(u64 *ctx, u32 hook)
{
	return is_canary_directory(ctx, hook) || check_entry(hook, number_at(&ctx[1]));
}

HOOK(inode_unlink, AEGIS_HOOK_INODE_UNLINK, none_passes, concerns_second, check_name);
HOOK(inode_rmdir, AEGIS_HOOK_INODE_RMDIR, none_passes, concerns_second, check_name);
HOOK(inode_create, AEGIS_HOOK_INODE_CREATE, none_passes, concerns_second, check_name);
HOOK(inode_mkdir, AEGIS_HOOK_INODE_MKDIR, none_passes, concerns_second, check_name);
HOOK(inode_mknod, AEGIS_HOOK_INODE_MKNOD, none_passes, concerns_second, check_name);
HOOK(inode_symlink, AEGIS_HOOK_INODE_SYMLINK, none_passes, concerns_second, check_name);

/* (dentry, directory, new dentry) */
static __always_inline int check_link(u64 *ctx, u32 hook)
{
	u64 from = number_at(&ctx[0]), to = number_at(&ctx[2]);

	return is_canary_inode((void *)ctx[1], hook) || check_entry(hook, from) || check_leaving(hook, from, to) ||
	       check_entry(hook, to);
}

static __always_inline int concerns_link(u64 head, u64 *ctx)
{
	return concerns(number_at(&ctx[0])) || concerns(number_at(&ctx[2]));
}

HOOK(inode_link, AEGIS_HOOK_INODE_LINK, none_passes, concerns_link, check_link);

/* (directory, dentry, new directory, new dentry); the function around the hook is also given flags, and calls the hook
 * once more, the other way round, to exchange. */
static __always_inline int check_rename(u64 *ctx, u32 hook)
{
	u64 from = number_at(&ctx[1]), to = number_at(&ctx[3]);

	if (is_canary_directory(ctx, hook) || check_entry(hook, from) || check_leaving(hook, from, to) ||
	    check_entry(hook, to))
		return 1;
	return backed_up && ctx[4] & RENAME_EXCHANGE && check_leaving(hook, to, from);
}

static __always_inline int concerns_rename(u64 head, u64 *ctx)
{
	return concerns(number_at(&ctx[1])) || concerns(number_at(&ctx[3]));
}

HOOK(inode_rename, AEGIS_HOOK_INODE_RENAME, none_passes, concerns_rename, check_rename);

#endif
