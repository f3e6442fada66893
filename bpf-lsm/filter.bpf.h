/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 OR MIT */
/*
 * Whether any rule in force can be about what a hook is asked about. Almost nothing is named by a rule, and what is not
 * leaves here.
 *
 * The filter holds three bits for each inode that a rule names (a Bloom filter). A bit too many costs a decision the
 * long way, a bit too few would be a hole: so whoever changes the policy adds the bits of the new one before it is in
 * force, and takes those of the old one away after.
 *
 *   may_pass()       the short way: one bit, in no more registers than an empty program has; no helper, no call
 *   may_concern_*()  the rest of it: all three bits, and those of the directories where the policy has rules by place
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

static __always_inline u64 spread_again(u64 hash)
{
	return (hash ^ hash >> 32) * SPREAD;
}

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

/* The other bits are of the device, too. */
GLOBAL u32 has_other_bits(u64 ino, u64 dev)
{
	u64 head = filter_head(), hash = spread_again(ino * SPREAD ^ (u32)dev);

	return has_bit(head, hash) && has_bit(head, spread_again(hash));
}

/* The first bit is of the number alone, so that the device is read for few. */
static __always_inline int has_inode(u64 head, u64 ino, struct super_block *sb)
{
	return has_bit(head, ino * SPREAD) && has_other_bits(ino, sb->s_dev);
}

/* Nothing can be about an inode, and nothing is asked but what it is. */
static __always_inline int may_pass(struct inode *inode)
{
	u64 head = filter_head();

	return !filter_flags(head) && !has_bit(head, inode->i_ino * SPREAD) &&
	       inode->i_sb->s_magic != OVERLAYFS_SUPER_MAGIC;
}

/* Directories that are put to the filter on the way up a file system, and as many on the way on; what lies deeper takes
 * the long way. Each costs the verifier a turn. */
#define SHORT_WAY 16

/* From the root of a file system on: what is mounted below a tree is in it. Nothing here has a type, so all is read. */
GLOBAL u32 may_be_mounted_below(u64 root, u64 mount)
{
	u64 head = filter_head(), dentry_address = root;

	for (int step = 0; step < SHORT_WAY; step++) {
		struct dentry *dentry = (void *)dentry_address;
		u64 above = dentry_above(dentry_address, mount, 0);

		if (!above)
			return is_unplaced(dentry);
		mount = mount_above(dentry_address, mount, 0);
		dentry = (void *)above;
		if (BPF_CORE_READ(dentry, d_sb, s_magic) == OVERLAYFS_SUPER_MAGIC ||
		    has_bit(head, BPF_CORE_READ(dentry, d_inode, i_ino) * SPREAD))
			return 1;
		dentry_address = above;
	}
	return 1;
}

/* Whether a tree can be above a directory. */
static __always_inline int may_be_below(u64 head, struct dentry *directory, struct super_block *sb, struct file *file)
{
	for (int step = 0; step < SHORT_WAY; step++) {
		struct dentry *above = directory->d_parent;
		u64 root;

		if (above == directory) {
			root = number_at(__builtin_preserve_access_index(&directory->d_parent));
			return may_be_mounted_below(root,
						    file ? number_at(__builtin_preserve_access_index(&file->f_path.mnt)) :
							   (u64)mount_of((void *)root));
		}
		if (has_inode(head, above->d_inode->i_ino, sb))
			return 1;
		directory = above;
	}
	return 1;
}

/* Whether a rule by place can be about what is at a dentry. The directories above it are in its own file system. */
static __always_inline int may_be_placed(u64 head, struct dentry *dentry, struct super_block *sb, struct file *file)
{
	struct dentry *directory = dentry->d_parent;

	/* With nothing above it, it may be anywhere. */
	if (directory == dentry || has_inode(head, directory->d_inode->i_ino, sb))
		return 1;
	return filter_flags(head) & AEGIS_FILTER_TREES && may_be_below(head, directory, sb, file);
}

/* What is not asked of the inode alone. */
static __always_inline int is_by_the_way(u64 head, struct super_block *sb)
{
	if (filter_flags(head) & (AEGIS_FILTER_PROVING | AEGIS_FILTER_ASKING))
		return 1;
	return filter_flags(head) & AEGIS_FILTER_SCOPE && sb->s_magic == CGROUP2_SUPER_MAGIC;
}

/* Whether anything can be about this inode, wherever it is. */
static __always_inline int may_concern_inode(u64 head, struct inode *inode)
{
	struct super_block *sb = inode->i_sb;

	return sb->s_magic == OVERLAYFS_SUPER_MAGIC || has_inode(head, inode->i_ino, sb) || is_by_the_way(head, sb);
}

/* Whether anything can be about this file. */
static __attribute__((noinline)) int may_concern_file(u64 head, struct file *file)
{
	struct inode *inode = file->f_inode;
	struct dentry *dentry;

	if (may_concern_inode(head, inode))
		return 1;
	if (!(filter_flags(head) & (AEGIS_FILTER_NAMES | AEGIS_FILTER_TREES)))
		return 0;
	dentry = file->f_path.dentry;
	/* The path of another: see dentry_of(). */
	return dentry->d_inode != inode || may_be_placed(head, dentry, inode->i_sb, file);
}

/* Whether anything can be about what is at this dentry, or would be. */
static __attribute__((noinline)) int may_concern_entry(u64 head, struct dentry *dentry)
{
	struct super_block *sb = dentry->d_sb;
	struct inode *inode = dentry->d_inode;

	if (sb->s_magic == OVERLAYFS_SUPER_MAGIC || is_by_the_way(head, sb) || (inode && has_inode(head, inode->i_ino, sb)))
		return 1;
	return filter_flags(head) & (AEGIS_FILTER_NAMES | AEGIS_FILTER_TREES) && may_be_placed(head, dentry, sb, NULL);
}

#endif
