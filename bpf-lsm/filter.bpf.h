/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 OR MIT */
/*
 * Whether any rule in force can be about what a hook is asked about. Almost nothing is named by a rule, and what is not
 * leaves here.
 *
 * The filter is a Bloom filter: a few bits for each inode that a rule names, for each directory with rules by place, for
 * each tree and each name in a directory (src/enforce/filter.rs). A bit too many costs a decision the long way, a bit
 * too few would be a hole: so whoever changes the policy adds the bits of the new one before it is in force, and takes
 * those of the old one away after.
 *
 * Two forms of it. Opens and mappings are asked about most: theirs reads fields by their types, without a helper, a
 * lookup or a call. But for each pointer that is read from what a hook was called with, the verifier searches all types
 * of the kernel by name, up to three times (type_is_trusted(), type_is_rcu(), kernel/bpf/verifier.c, v6.12). So the
 * other hooks take numbers, as everything behind the filter does.
 *
 * A merged inode of overlayfs stands for others and always takes the long way (identity.bpf.h).
 */
#ifndef AEGIS_FILTER_BPF_H
#define AEGIS_FILTER_BPF_H

#include "match.bpf.h"

/* Not in the object file: all zeros, made by the loader and mapped by whoever changes the policy. */
struct aegis_filter filter SEC(".bss.filter");

/* 2^64 divided by the golden ratio: multiplied with it, numbers that follow each other end up far apart. */
#define SPREAD 0x9e3779b97f4a7c15ULL

/* Directories that are put to the filter on the way up; what lies deeper takes the long way. Each costs the verifier a
 * turn. */
#define SHORT_WAY 16

static __always_inline u64 filter_head(void)
{
	return *(volatile u64 *)&control.filter;
}

static __always_inline u32 filter_flags(u64 head)
{
	return head >> 32;
}

static __always_inline int has_bit(u64 head, u64 hash)
{
	return filter.words[hash >> AEGIS_FILTER_SHIFT & head] >> (hash & 63) & 1;
}

static __always_inline u64 spread_again(u64 hash)
{
	return (hash ^ hash >> 32) * SPREAD;
}

/* What the bits are of, so that one thing is not taken for the other. */
#define AS_INODE 0ULL
#define AS_TREE	 (1ULL << 32)
#define AS_NAME	 (2ULL << 32)
/* A directory that something may begin at: has a bit of its own. */
#define AS_DIRECTORY 0xd1b54a32d192ed03ULL

static __always_inline int has_both(u64 head, u64 hash)
{
	return has_bit(head, hash) && has_bit(head, spread_again(hash));
}

/* The other bits are of the device, too. */
GLOBAL u32 has_other_bits(u64 ino, u64 dev)
{
	return has_both(filter_head(), spread_again(ino * SPREAD ^ (u32)dev ^ AS_INODE));
}

/* The first bit is of the number alone, so that the device is read for few. */
static __always_inline int has_inode(u64 head, u64 ino, struct super_block *sb)
{
	return has_bit(head, ino * SPREAD) && has_other_bits(ino, sb->s_dev);
}

/* Whether something begins at a directory on the way to what is called `name` in it: it is a tree, or has that name. */
GLOBAL u32 may_begin_at(u64 ino, u64 dev, u64 name_address)
{
	u64 head = filter_head(), place = ino * SPREAD ^ (u32)dev, name[2] = {}, hash;

	if (has_both(head, spread_again(place ^ AS_TREE)))
		return 1;
	bpf_probe_read_kernel_str(name, sizeof(name), (void *)name_address);
	hash = spread_again(spread_again(place ^ AS_NAME) ^ name[0]);
	return has_both(head, spread_again(hash ^ name[1]));
}

/* Nothing can be about an inode, and nothing is asked but what it is. */
static __always_inline int may_pass(struct inode *inode)
{
	u64 head = filter_head();

	return !filter_flags(head) && !has_bit(head, inode->i_ino * SPREAD) &&
	       inode->i_sb->s_magic != OVERLAYFS_SUPER_MAGIC;
}

/* What is looked at whatever inode it is. */
static __always_inline int is_of_interest_to(u64 head, u64 magic)
{
	if (magic == OVERLAYFS_SUPER_MAGIC || filter_flags(head) & (AEGIS_FILTER_PROVING | AEGIS_FILTER_ASKING))
		return 1;
	return filter_flags(head) & AEGIS_FILTER_SCOPE && magic == CGROUP2_SUPER_MAGIC;
}

/* Whether a rule by place that begins at a directory can be about what is below it. */
GLOBAL u32 may_lead_to(u64 directory_address, u64 below_address)
{
	struct dentry *directory = (void *)directory_address, *below = (void *)below_address;
	u64 ino = BPF_CORE_READ(directory, d_inode, i_ino);

	if (BPF_CORE_READ(directory, d_sb, s_magic) == OVERLAYFS_SUPER_MAGIC)
		return 1;
	return has_bit(filter_head(), ino * SPREAD + AS_DIRECTORY) &&
	       may_begin_at(ino, BPF_CORE_READ(directory, d_sb, s_dev), (u64)BPF_CORE_READ(below, d_name.name));
}

/*
 * Whether a rule by place can be about what is at a dentry: on a name in its directory, or on a tree further up, across
 * mounts.
 */
GLOBAL u32 may_be_placed(u64 dentry, u64 mount)
{
	u32 trees = filter_flags(filter_head()) & AEGIS_FILTER_TREES;

	for (int step = 0; step < SHORT_WAY; step++) {
		u64 above = dentry_above(dentry, mount, 0);

		if (!above)
			return is_unplaced((void *)dentry);
		if (may_lead_to(above, dentry))
			return 1;
		if (!trees)
			return 0;
		mount = mount_above(dentry, mount, 0);
		dentry = above;
	}
	return 1;
}

/* Whether anything can be about an inode of a file system, wherever it is. */
GLOBAL u32 may_concern_inode(u64 sb_address, u64 inode_address)
{
	struct super_block *sb = (void *)sb_address;
	struct inode *inode = (void *)inode_address;
	u64 head = filter_head(), ino;

	if (is_of_interest_to(head, BPF_CORE_READ(sb, s_magic)))
		return 1;
	ino = BPF_CORE_READ(inode, i_ino);
	return inode && has_bit(head, ino * SPREAD) && has_other_bits(ino, BPF_CORE_READ(sb, s_dev));
}

/* Whether anything can be about what is at a dentry, or would be. */
GLOBAL u32 may_concern_entry(u64 dentry_address)
{
	struct dentry *dentry = (void *)dentry_address;
	u32 flags = filter_flags(filter_head());

	if (may_concern_inode((u64)BPF_CORE_READ(dentry, d_sb), (u64)BPF_CORE_READ(dentry, d_inode)))
		return 1;
	if (!(flags & (AEGIS_FILTER_NAMES | AEGIS_FILTER_TREES)))
		return 0;
	return may_be_placed(dentry_address, flags & AEGIS_FILTER_TREES ? (u64)mount_of(dentry) : 0);
}

/* Whether anything can be about a file. */
GLOBAL u32 may_concern_file(u64 address)
{
	struct file *file = (void *)address;
	struct inode *inode = BPF_CORE_READ(file, f_inode);
	struct dentry *dentry = BPF_CORE_READ(file, f_path.dentry);

	if (may_concern_inode((u64)BPF_CORE_READ(inode, i_sb), (u64)inode))
		return 1;
	if (!(filter_flags(filter_head()) & (AEGIS_FILTER_NAMES | AEGIS_FILTER_TREES)))
		return 0;
	/* The path of another: see dentry_of(). */
	return BPF_CORE_READ(dentry, d_inode) != inode ||
	       may_be_placed((u64)dentry, (u64)BPF_CORE_READ(file, f_path.mnt));
}

/* The same by types, up to the root of the file system: all of the way is in one. */
static __always_inline int may_concern_opened(u64 head, struct file *file)
{
	struct dentry *dentry = file->f_path.dentry, *above;
	struct inode *inode = file->f_inode;
	struct super_block *sb = dentry->d_sb;
	u64 ino;

	if (dentry->d_inode != inode || is_of_interest_to(head, sb->s_magic) || has_inode(head, inode->i_ino, sb))
		return 1;
	if (!(filter_flags(head) & (AEGIS_FILTER_NAMES | AEGIS_FILTER_TREES)))
		return 0;
	for (int step = 0; step < SHORT_WAY; step++) {
		above = dentry->d_parent;
		if (above == dentry)
			return may_be_placed(number_at(__builtin_preserve_access_index(&dentry->d_parent)),
					     number_at(__builtin_preserve_access_index(&file->f_path.mnt)));
		ino = above->d_inode->i_ino;
		if (has_bit(head, ino * SPREAD + AS_DIRECTORY) &&
		    may_begin_at(ino, sb->s_dev, number_at(__builtin_preserve_access_index(&dentry->d_name.name))))
			return 1;
		if (!(filter_flags(head) & AEGIS_FILTER_TREES))
			return 0;
		dentry = above;
	}
	return 1;
}

#endif
