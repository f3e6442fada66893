/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 OR MIT */
/*
 * What the rules of a slot say about an operation: by inode, then by name, then by tree; then by cgroup, which is
 * looked at only once something has matched.
 *
 * The functions without `static` are global ones: the verifier goes through each of them once a program, with
 * nothing known about its arguments, instead of once for every way that leads to a call. So they take addresses as
 * numbers, read with bpf_probe_read_kernel(), and answer in one word (kernel v5.6, 51c39bb1d5d1).
 */
#ifndef AEGIS_MATCH_BPF_H
#define AEGIS_MATCH_BPF_H

#include "identity.bpf.h"

#define GLOBAL __attribute__((noinline))

/* What lies at an address, as the plain number that a global function takes: the verifier knows nothing more of it. */
static __always_inline u64 number_at(const void *address)
{
	u64 number = 0;

	bpf_probe_read_kernel(&number, sizeof(number), address);
	return number;
}

RULE_SETS(objects, struct aegis_inode, struct aegis_object);
RULE_SETS(names, struct aegis_name, struct aegis_object);
RULE_SETS(trees, struct aegis_inode, struct aegis_object);
RULE_SETS(tree_names, struct aegis_name, struct aegis_object);

/* For the agent alone. */
RULE_SETS(filters, u64, struct aegis_filter_part);

/* One answer in one word: the rule in the low half, above it operations or event flags, at the top the verdict. */
enum {
	ANSWER_OPS = 32,
	ANSWER_FLAGS = 40,
};
/* Nothing was found, for the walk did not end. */
#define ANSWER_TOO_DEEP (1ULL << 61)
/* Nobody knows where the file is, and a rule by place may mean it. */
#define ANSWER_UNPLACED (1ULL << 60)
/* Not a rule, but the scope would be left. */
#define ANSWER_WAY_OUT (1ULL << 62)
#define ANSWER_DENIED  (1ULL << 63)

#define ALL_OPS (AEGIS_OP_READ | AEGIS_OP_WRITE | AEGIS_OP_EXEC)

static __always_inline u64 answer_of(const struct aegis_object *object)
{
	return object ? object->rule | (u64)object->ops << ANSWER_OPS | (u64)object->flags << ANSWER_FLAGS : 0;
}

static __always_inline u32 ops_of(u64 answer)
{
	return answer >> ANSWER_OPS & ALL_OPS;
}

static __always_inline u32 flags_of(u64 answer)
{
	return answer >> ANSWER_FLAGS & 0xff;
}

/* What is to be decided, in one word. */
static __always_inline u64 question(u32 slot, u32 op, u32 hook)
{
	return slot | op << 8 | (u64)hook << 16;
}

static __always_inline u32 slot_asked(u64 question)
{
	return question % AEGIS_SLOTS;
}

static __always_inline u32 op_asked(u64 question)
{
	return question >> 8 & (ALL_OPS | AEGIS_OP_GUARD);
}

static __always_inline u32 hook_asked(u64 question)
{
	return question >> 16 & 0xff;
}

static __always_inline u64 with_mode(u64 question, u32 mode)
{
	return question | (u64)mode << 24;
}

static __always_inline u32 mode_asked(u64 question)
{
	return question >> 24 & 0xff;
}

enum set { OBJECTS, NAMES, TREES, TREE_NAMES, CGROUPS };

/*
 * What a map of the rule set of a slot holds at a key. The one place from which they are looked into: a place with one map
 * the kernel puts in line, and copies the whole program and all that it knows of it for that (bpf_patch_insn_data(), v6.12);
 * from one with several maps it calls the lookup, which only operations pay for that the filter lets through.
 */
static __attribute__((noinline)) void *entry_of(enum set which, u32 slot, const void *key)
{
	void *set = &objects;

	/* Not a table of them, which could not be relocated. */
	if (which == NAMES) {
		set = &names;
		asm volatile("");
	} else if (which == TREES) {
		set = &trees;
		asm volatile("");
	} else if (which == TREE_NAMES) {
		set = &tree_names;
		asm volatile("");
	} else if (which == CGROUPS) {
		set = &cgroups;
		asm volatile("");
	}
	set = bpf_map_lookup_elem(set, &slot);
	return set ? bpf_map_lookup_elem(set, key) : NULL;
}

/* What the rule set of a slot says about the inode of a number, at a place as set_place() has it, with a generation. */
GLOBAL u64 said_of_number(u64 slot, u64 ino, u64 place, u64 generation)
{
	struct aegis_inode id = { .ino = ino };
	struct aegis_object *object;

	__builtin_memcpy(&id.dev, &place, sizeof(place));
	object = entry_of(OBJECTS, slot, &id);
	if (!object || (!(object->flags & AEGIS_OBJECT_ANY_GENERATION) && object->generation != (u32)generation))
		return 0;
	return answer_of(object);
}

static __always_inline u64 place_of(const struct aegis_inode *id)
{
	return (u64)id->volume << 32 | id->dev;
}

/*
 * What the rules say about a merged file of overlayfs by the file in a layer that it is made for: a rule on that one
 * binds it here as well, before anything is copied up. A layer may be merged itself, once
 * (FILESYSTEM_MAX_STACK_DEPTH, include/linux/fs.h).
 */
static __always_inline u64 said_in_layer(u64 slot, struct inode *inode)
{
	for (int stacked = 0; stacked < 2; stacked++) {
		struct inode *lies = BPF_CORE_READ(inode, i_private);
		struct aegis_inode id = {};
		u32 generation;
		u64 said;

		if (!lies || BPF_CORE_READ(inode, i_sb, s_magic) != OVERLAYFS_SUPER_MAGIC)
			return 0;
		generation = identify(&id, lies);
		said = said_of_number(slot, id.ino, place_of(&id), generation);
		if (said)
			return said;
		inode = lies;
	}
	return 0;
}

/*
 * What the rules say about an inode by itself. Volume 0 stands for any: for rules on numbers alone, and for the copies
 * of a denied file that snapshots hold.
 */
GLOBAL u64 said_of(u64 slot, u64 inode_address)
{
	struct inode *inode = (void *)inode_address;
	struct aegis_inode id = {};
	u32 generation;
	u64 said;

	if (!inode)
		return 0;
	generation = identify(&id, inode);
	said = said_of_number(slot, id.ino, place_of(&id), generation);
	if (said)
		return said;
	if (id.volume) {
		said = said_of_number(slot, BPF_CORE_READ(inode, i_ino), id.dev, generation);
		if (said && !(flags_of(said) & AEGIS_OBJECT_INHERITED && !is_inherited(inode, generation)))
			return said;
	}
	return said_in_layer(slot, inode);
}

/* Some name of an inode; NULL where the kernel has none at hand. */
static __always_inline struct dentry *dentry_of_inode(struct inode *inode)
{
	struct hlist_node *alias = BPF_CORE_READ(inode, i_dentry.first);

	if (!alias)
		return NULL;
	if (bpf_core_field_exists(struct dentry___unnamed, d_alias))
		return (void *)alias - bpf_core_field_offset(struct dentry___unnamed, d_alias);
	return (void *)alias - bpf_core_field_offset(struct dentry, d_u.d_alias);
}

/*
 * The name by which an inode was reached. The file that overlayfs opens below itself carries the path of the overlay
 * (open_with_fake_path, until v6.8): its own name is then the one that its inode knows.
 */
static __always_inline struct dentry *dentry_of(struct dentry *dentry, struct inode *inode)
{
	return !inode || BPF_CORE_READ(dentry, d_inode) == inode ? dentry : dentry_of_inode(inode);
}

/*
 * Whether a dentry with nothing above it is no root, but that of a file which was come by without its place: opened by a
 * handle, while the kernel had it under no name. Those of pipes and of memory files belong nowhere.
 */
static __always_inline int is_unplaced(struct dentry *root)
{
	return BPF_CORE_READ(root, d_flags) & DCACHE_DISCONNECTED;
}

/* What is at a dentry. Called by those that hold a name, who have no room on the stack for what this takes. */
static __attribute__((noinline)) u32 identify_at(struct aegis_inode *id, struct dentry *dentry)
{
	return identify(id, BPF_CORE_READ(dentry, d_inode));
}

/* The rule on the name of a dentry. Its directory is looked up first: most have no such names. */
GLOBAL u64 find_name(u64 slot, u64 dentry_address)
{
	struct dentry *dentry = (void *)dentry_address;
	struct dentry *parent = BPF_CORE_READ(dentry, d_parent);
	struct aegis_name key = {};
	u32 generation;

	if (dentry == parent)
		return is_unplaced(dentry) ? ANSWER_UNPLACED : 0;
	/* In its own volume alone: looking at volume 0 as well made the verifier walk five times as far. */
	generation = identify_at(&key.directory, parent);
	if (!(flags_of(said_of_number(slot, key.directory.ino, place_of(&key.directory), generation)) &
	      AEGIS_OBJECT_NAMES))
		return 0;
	if (bpf_probe_read_kernel_str(key.name, sizeof(key.name), BPF_CORE_READ(dentry, d_name.name)) <= 0)
		return 0;
	return answer_of(entry_of(NAMES, slot, &key));
}

/* The tree that begins at a dentry, or at the place of what is `below` it, and denies the operation. */
GLOBAL u64 tree_at(u64 asked, u64 dentry_address, u64 below_address)
{
	struct dentry *dentry = (void *)dentry_address, *below = (void *)below_address;
	struct aegis_name key = {};
	u32 generation = identify_at(&key.directory, dentry);
	struct aegis_object *object = entry_of(TREES, slot_asked(asked), &key.directory);

	if (!object || object->generation != generation)
		return 0;
	/* Taken apart anew, where it is used: kept, the parts would lie on the stack. */
	asm volatile("" : "+r"(asked));
	if (object->flags & AEGIS_OBJECT_TREE && object->ops & op_asked(asked))
		return answer_of(object);
	/* A root is called "/", which is no name in any directory. */
	if (!(object->flags & AEGIS_OBJECT_NAMES) || !below)
		return 0;
	bpf_probe_read_kernel_str(key.name, sizeof(key.name), BPF_CORE_READ(below, d_name.name));
	object = entry_of(TREE_NAMES, slot_asked(asked), &key);
	return object && object->ops & op_asked(asked) ? answer_of(object) : 0;
}

/*
 * One step up: to the parent, or from the root of what is mounted to where that is; 0: there is nothing above. With
 * `as_mounted` that root is what the mount shows, as in a path; without, it is that of the file system.
 *
 * Walks take their steps by calls, because the verifier forgets what they find out: what it remembers of one turn of a
 * loop it follows through all the others.
 */
GLOBAL u64 dentry_above(u64 dentry_address, u64 mount_address, u64 as_mounted)
{
	struct dentry *dentry = (void *)dentry_address;
	struct dentry *parent = BPF_CORE_READ(dentry, d_parent);
	struct mount *mount = (void *)mount_address - bpf_core_field_offset(struct mount, mnt);
	struct dentry *root = as_mounted ? BPF_CORE_READ(mount, mnt.mnt_root) : parent;

	if (dentry != parent && !(as_mounted && dentry == root))
		return (u64)parent;
	/* The top of the mount tree, or of a file system that is not mounted anywhere (pipefs, memfd). */
	if (!mount_address || BPF_CORE_READ(mount, mnt_parent) == mount || dentry != root)
		return 0;
	/* No root, so it is not where its file system is mounted. */
	if (!as_mounted && is_unplaced(dentry))
		return 0;
	return (u64)BPF_CORE_READ(mount, mnt_mountpoint);
}

/* The mount of what dentry_above() answers. */
GLOBAL u64 mount_above(u64 dentry_address, u64 mount_address, u64 as_mounted)
{
	struct dentry *dentry = (void *)dentry_address;
	struct mount *mount = (void *)mount_address - bpf_core_field_offset(struct mount, mnt);

	if (!mount_address)
		return 0;
	if (BPF_CORE_READ(dentry, d_parent) != dentry && !(as_mounted && dentry == BPF_CORE_READ(mount, mnt.mnt_root)))
		return mount_address;
	return (u64)BPF_CORE_READ(mount, mnt_parent) + bpf_core_field_offset(struct mount, mnt);
}

/*
 * The tree that something lies in. Goes up to the root of the file system, whatever part of it is mounted here, then on
 * from where it is mounted: what is below a directory stays below it when a part of it is also mounted elsewhere, and
 * what is mounted below it counts as well. Something for which the walk does not end is denied.
 */
GLOBAL u64 find_tree(u64 asked, u64 dentry, u64 mount)
{
	u64 below = 0, answer, above;

	for (int level = 0; level < AEGIS_TREE_DEPTH; level++) {
		answer = tree_at(asked, dentry, below);
		if (answer)
			return answer;
		above = dentry_above(dentry, mount, 0);
		if (!above)
			return is_unplaced((void *)dentry) ? ANSWER_UNPLACED : 0;
		mount = mount_above(dentry, mount, 0);
		below = dentry;
		dentry = above;
	}
	if (control.slots[slot_asked(asked)].tree_ops & op_asked(asked))
		return (u64)op_asked(asked) << ANSWER_OPS | ANSWER_TOO_DEEP;
	return 0;
}

/* What the policy says about the cgroup of an id. */
GLOBAL u32 flags_of_cgroup(u64 slot, u64 id)
{
	struct aegis_cgroup *entry = entry_of(CGROUPS, slot, &id);

	return entry ? entry->flags : 0;
}

GLOBAL u64 cgroup_id(u64 address)
{
	struct cgroup *cgroup = (void *)address;

	return BPF_CORE_READ(cgroup, kn, id);
}

/* 0: there is none. */
GLOBAL u64 cgroup_above(u64 address)
{
	struct cgroup *cgroup = (void *)address;
	u64 above = (u64)BPF_CORE_READ(cgroup, self.parent);

	return above ? above - bpf_core_field_offset(struct cgroup, self) : 0;
}

/*
 * What the policy says about a cgroup and those above it, all flags together. Walked by hand: LSM programs have no
 * helper for the ids above on v5.10.
 */
GLOBAL u32 cgroup_flags(u64 slot)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	u64 cgroup = (u64)BPF_CORE_READ(task, cgroups, dfl_cgrp);
	u32 flags = 0;

	for (int level = 0; level < AEGIS_CGROUP_DEPTH && cgroup; level++) {
		flags |= flags_of_cgroup(slot, cgroup_id(cgroup));
		/* Nothing above can change the answer; the verifier is spared the combinations, too. */
		if (flags & AEGIS_CGROUP_ALLOW)
			return flags;
		cgroup = cgroup_above(cgroup);
	}
	return flags;
}

/* Whether the rules bind processes in such a cgroup. */
static __always_inline int binds(u32 slot, u32 cgroup)
{
	if (cgroup & AEGIS_CGROUP_ALLOW)
		return 0;
	return !(control.slots[slot].features & AEGIS_FEATURE_SCOPE) || cgroup & AEGIS_CGROUP_SCOPE;
}

/*
 * An answer by rule alone becomes the verdict on the current process. The prover meets its canaries' rule and no other: a
 * policy may deny the directory that they are in.
 */
GLOBAL u64 denied_here(u64 slot_number, u64 answer)
{
	u32 slot = slot_number % AEGIS_SLOTS;
	u32 prover = *(volatile u32 *)&control.prover_tgid;
	u32 cgroup;

	if (prover && prover == bpf_get_current_pid_tgid() >> 32)
		return 0;
	cgroup = cgroup_flags(slot);

	if (cgroup & AEGIS_CGROUP_ALLOW)
		count(AEGIS_COUNT_ALLOWED_CGROUP);
	return binds(slot, cgroup) ? answer | ANSWER_DENIED : answer & ~ANSWER_DENIED;
}

/* A mount of the file system that a dentry is in; the first in a list that is in the order of mounting until v6.17. */
static __always_inline struct vfsmount *mount_of(struct dentry *dentry)
{
	struct super_block *sb = BPF_CORE_READ(dentry, d_sb);
	struct mount *mount;

	if (bpf_core_field_exists(struct mount___list, mnt_instance)) {
		struct super_block___list *list = (void *)sb;
		void *head = (void *)sb + bpf_core_field_offset(struct super_block___list, s_mounts);
		void *first = BPF_CORE_READ(list, s_mounts.next);

		if (!first || first == head)
			return NULL;
		mount = first - bpf_core_field_offset(struct mount___list, mnt_instance);
	} else {
		mount = BPF_CORE_READ(sb, s_mounts);
		if (!mount)
			return NULL;
	}
	return (void *)mount + bpf_core_field_offset(struct mount, mnt);
}

/*
 * The match of one operation on what is at `dentry`. `said` is what said_of() answered about the inode there, or 0 where
 * there is none; the file is 0 for hooks that are given none. Returns rule, flags and verdict.
 *
 * The functions below each other take 512 bytes of stack at most (MAX_BPF_STACK), each rounded up to 32: with a name of
 * 256 bytes at the bottom there is little left.
 */
GLOBAL u64 match(u64 asked, u64 said, u64 dentry, u64 file_address)
{
	struct file *file = (void *)file_address;
	u32 slot = slot_asked(asked), op = op_asked(asked);
	u32 features = control.slots[slot].features;
	u64 answer = said;

	if (flags_of(answer) & AEGIS_OBJECT_FLOOR)
		op &= AEGIS_OP_WRITE;
	if (ops_of(answer) & op)
		return denied_here(slot, answer);
	if (!(features & (AEGIS_FEATURE_NAMES | AEGIS_FEATURE_TREES)))
		return 0;
	if (features & AEGIS_FEATURE_NAMES) {
		answer = find_name(slot, dentry);
		if (answer & ANSWER_UNPLACED)
			return op ? denied_here(slot, answer) : 0;
		if (flags_of(answer) & AEGIS_OBJECT_FLOOR)
			op &= AEGIS_OP_WRITE;
		if (ops_of(answer) & op)
			return denied_here(slot, answer);
	}
	if (features & AEGIS_FEATURE_TREES && op) {
		u64 mount = file ? (u64)BPF_CORE_READ(file, f_path.mnt) : (u64)mount_of((void *)dentry);

		answer = find_tree(question(slot, op, 0), dentry, mount);
		if (ops_of(answer) & op || answer & ANSWER_UNPLACED)
			return denied_here(slot, answer);
	}
	return 0;
}

/*
 * Whether a file would be somewhere else by then: a rule that binds it by where it is would not bind it there. So it may
 * not be linked or moved from a denied name, or out of a denied tree, whatever operation the rule denies. What is
 * denied by its inode may: it stays denied.
 */
static __always_inline u64 leaves(u64 slot_number, u64 said, u64 from, u64 to, u64 mount)
{
	u32 slot = slot_number % AEGIS_SLOTS;
	u32 features = control.slots[slot].features, ops;
	u64 any = question(slot, ALL_OPS, 0), answer;

	if (features & AEGIS_FEATURE_NAMES) {
		answer = find_name(slot, from);
		/* A name would give it a place, and nobody knows whether that is better than the one it has. */
		if (answer & ANSWER_UNPLACED)
			return denied_here(slot, answer);
		ops = ops_of(answer) & ~ops_of(said);
		if (ops && !(flags_of(answer) & AEGIS_OBJECT_FLOOR))
			return denied_here(slot, answer);
	}
	if (features & AEGIS_FEATURE_TREES) {
		struct dentry *dentry = (void *)from;

		/* From above it: a tree that is moved itself takes with it what is in it. */
		answer = find_tree(any, (u64)BPF_CORE_READ(dentry, d_parent), mount);
		if (answer && (answer & ANSWER_UNPLACED || (u32)find_tree(any, to, mount) != (u32)answer))
			return denied_here(slot, answer);
	}
	return 0;
}

static __always_inline int moves_processes(const u64 name[2])
{
	const char procs[16] = "cgroup.procs", threads[16] = "cgroup.threads";

	return (name[0] == *(u64 *)procs && name[1] == *(u64 *)(procs + 8)) ||
	       (name[0] == *(u64 *)threads && name[1] == *(u64 *)(threads + 8));
}

GLOBAL u64 inode_number(u64 dentry_address)
{
	struct dentry *dentry = (void *)dentry_address;

	return BPF_CORE_READ(dentry, d_inode, i_ino);
}

/* Whether opening this file of the cgroup file system for writing is a way for the current process out of the scope. */
GLOBAL u64 leaves_scope(u64 slot_number, u64 dentry_address)
{
	struct dentry *dentry = (void *)dentry_address;
	u32 slot = slot_number % AEGIS_SLOTS, there = 0;
	u64 name[2] = {}, directory;

	bpf_probe_read_kernel_str(name, sizeof(name), BPF_CORE_READ(dentry, d_name.name));
	if (!moves_processes(name) || !binds(slot, cgroup_flags(slot)))
		return 0;
	directory = (u64)BPF_CORE_READ(dentry, d_parent);
	for (int level = 0; level < AEGIS_CGROUP_DEPTH && directory; level++) {
		/* The number of a directory here is the id of its cgroup (kernfs, v5.5, 67c0496e87d1). */
		there |= flags_of_cgroup(slot, inode_number(directory));
		directory = dentry_above(directory, 0, 0);
	}
	return binds(slot, there) ? 0 : ANSWER_DENIED | ANSWER_WAY_OUT;
}

/* The match of one operation on an open file, or on one that is being opened. */
static __always_inline u64 match_file(u64 asked, u64 said, u64 address)
{
	struct file *file = (void *)address;
	struct inode *inode = BPF_CORE_READ(file, f_inode);
	u64 dentry = (u64)BPF_CORE_READ(file, f_path.dentry);
	u32 slot = slot_asked(asked), op = op_asked(asked);
	u64 answer = match(asked, said, (u64)dentry_of((void *)dentry, inode), address);

	if (!(answer & ANSWER_DENIED) && control.slots[slot].features & AEGIS_FEATURE_SCOPE && op & AEGIS_OP_WRITE &&
	    BPF_CORE_READ(inode, i_sb, s_magic) == CGROUP2_SUPER_MAGIC)
		return leaves_scope(slot, dentry);
	return answer;
}

#endif
