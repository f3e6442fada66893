/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 OR MIT */
/*
 * What an inode is: s_dev, i_ino and i_generation. On two file systems these
 * do not tell all files apart, and `volume` does the rest.
 *
 * btrfs: the subvolumes of one share s_dev. Each counts its inodes from 256,
 * and i_generation is the number of the transaction that made the file: files
 * of two subvolumes can agree in all three. The volume is the subvolume.
 * Whether the fields of btrfs are known is settled when the programs are fitted
 * to the kernel; where they are not, every volume is 0, for the rules as for
 * the hooks, and a rule means the file of its number in any of them.
 *
 * overlayfs: a merged inode has the number of a file in some layer, which is
 * not enough where layers lie on different file systems, and no generation; a
 * directory has there a new number each time it is read. i_private is the inode
 * in the layer that it is made for (ovl_inode_set, seen from v5.10 to v7.3):
 * the generation is taken from there, of a directory also the number, and the
 * volume is the device that it lies on.
 */
#ifndef AEGIS_IDENTITY_BPF_H
#define AEGIS_IDENTITY_BPF_H

#include "maps.bpf.h"

#include <bpf/bpf_core_read.h>

#include "kernel.h"

/* The tree that a btrfs inode is in; NULL where that cannot be known. */
static __always_inline struct btrfs_root *btrfs_root_of(struct inode *inode)
{
	struct btrfs_inode *whole;

	if (!bpf_core_field_exists(struct btrfs_inode, vfs_inode) || !bpf_core_field_exists(struct btrfs_inode, root) ||
	    !bpf_core_field_exists(struct btrfs_root, root_key.objectid) ||
	    !bpf_core_field_exists(struct btrfs_root, root_item.last_snapshot) ||
	    !bpf_core_field_exists(struct btrfs_root, root_item.otransid))
		return NULL;
	whole = (void *)inode - bpf_core_field_offset(struct btrfs_inode, vfs_inode);
	return BPF_CORE_READ(whole, root);
}

static __always_inline u32 btrfs_subvolume(struct inode *inode)
{
	struct btrfs_root *root = btrfs_root_of(inode);
	u64 id = root ? BPF_CORE_READ(root, root_key.objectid) : 0;

	return id ^ id >> 32;
}

/*
 * Whether a snapshot of btrfs brought an inode to where it is: then it was made no later than the snapshot itself. A
 * subvolume that has never taken part in one has not been taken from another.
 */
static __always_inline int is_inherited(struct inode *inode, u32 generation)
{
	struct btrfs_root *root;

	if (BPF_CORE_READ(inode, i_sb, s_magic) != BTRFS_SUPER_MAGIC)
		return 0;
	root = btrfs_root_of(inode);
	return root && BPF_CORE_READ(root, root_item.last_snapshot) &&
	       generation <= (u32)BPF_CORE_READ(root, root_item.otransid);
}

/*
 * Device and volume by one store: to the verifier (seen on v6.12) a store of half a stack slot leaves what was
 * there before alive, and it then follows each value through all turns of a loop.
 */
static __always_inline void set_place(struct aegis_inode *id, u32 dev, u32 volume)
{
	u64 both = (u64)volume << 32 | dev;

	__builtin_memcpy(&id->dev, &both, sizeof(both));
}

static __always_inline u32 identify_merged(struct aegis_inode *id, u32 dev, struct inode *lies)
{
	if ((BPF_CORE_READ(lies, i_mode) & S_IFMT) == S_IFDIR)
		id->ino = BPF_CORE_READ(lies, i_ino);
	set_place(id, dev, BPF_CORE_READ(lies, i_sb, s_dev));
	return BPF_CORE_READ(lies, i_generation);
}

/* Returns the generation. */
static __always_inline u32 identify(struct aegis_inode *id, struct inode *inode)
{
	struct super_block *sb = BPF_CORE_READ(inode, i_sb);
	u64 magic = BPF_CORE_READ(sb, s_magic);
	u32 dev = BPF_CORE_READ(sb, s_dev);

	id->ino = BPF_CORE_READ(inode, i_ino);
	if (magic == OVERLAYFS_SUPER_MAGIC) {
		struct inode *lies = BPF_CORE_READ(inode, i_private);

		if (lies)
			return identify_merged(id, dev, lies);
	}
	set_place(id, dev, magic == BTRFS_SUPER_MAGIC ? btrfs_subvolume(inode) : 0);
	return BPF_CORE_READ(inode, i_generation);
}

#endif
