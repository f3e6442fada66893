// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 OR MIT
/*
 * The enforcing programs, one a hook for all rules. Each runs unchanged as a
 * BPF LSM program and as modify-return of the kernel function that calls the
 * hook: both get the hook's arguments, then the return value so far.
 *
 *   file_open            refuses to open a denied inode; claims file.open.read, file.open.write, file.exec
 *   bprm_check_security  refuses to execute a denied inode; claim file.exec
 *   inode_getattr        records what stat(2) reached, while paths are enrolled; never refuses
 *
 * A hook returns constants from branches only: the verifier of v6.12 refuses
 * LSM programs whose return value it cannot bound, and `return cond ? -1 : 0`
 * compiles to arithmetic. The empty asm keeps clang from folding the branch.
 */
#include "event.bpf.h"
#include "identity.bpf.h"

#define RETURN_VERDICT(denied)                                                                                         \
	do {                                                                                                           \
		if (denied) {                                                                                          \
			asm volatile("");                                                                              \
			return -EPERM;                                                                                 \
		}                                                                                                      \
		asm volatile("");                                                                                      \
		return 0;                                                                                              \
	} while (0)

RULE_SETS(objects, struct aegis_inode, struct aegis_object);
RULE_SETS(names, struct aegis_name, struct aegis_object);
RULE_SETS(trees, struct aegis_inode, struct aegis_object);
RULE_SETS(tree_names, struct aegis_name, struct aegis_object);

/* Filled by the enrolment program, mapped by the one enrolling. */
struct aegis_enrolled enrolled SEC(".data.enrolled");

/* The canary is denied to the prover alone, at the hook under proof alone, in
 * every mode. */
static __always_inline int is_canary(const struct aegis_inode *id, u32 hook)
{
	return id->ino == control.canary.ino && id->dev == control.canary.dev && control.prover_hook == hook &&
	       control.prover_tgid == bpf_get_current_pid_tgid() >> 32;
}

/* Of a directory nothing is said but in its own volume: looking at volume 0 as well made the verifier walk five times as
 * far (find_tree). */
static __always_inline struct aegis_object *find_inode(void *set, struct inode *inode)
{
	struct aegis_inode id = {};
	u32 generation = identify_other(&id, inode);

	return set ? find_exact(set, &id, generation) : NULL;
}

/* The rule on the name of `dentry` in the directory `inode`. */
static __always_inline struct aegis_object *find_in(void *set, struct inode *inode, struct dentry *dentry)
{
	struct aegis_name key = {};

	if (!set)
		return NULL;
	identify_other(&key.directory, inode);
	if (bpf_probe_read_kernel_str(key.name, sizeof(key.name), BPF_CORE_READ(dentry, d_name.name)) <= 0)
		return NULL;
	return bpf_map_lookup_elem(set, &key);
}

/*
 * The name by which an inode was reached. The file that overlayfs opens below itself carries the path of the overlay
 * (open_with_fake_path, until v6.8): its own name is then the one that its inode knows.
 */
static __always_inline struct dentry *dentry_of(struct path *path, struct inode *inode)
{
	struct dentry *dentry = BPF_CORE_READ(path, dentry);
	struct hlist_node *alias;

	if (BPF_CORE_READ(dentry, d_inode) == inode)
		return dentry;
	alias = BPF_CORE_READ(inode, i_dentry.first);
	if (!alias)
		return NULL;
	if (bpf_core_field_exists(struct dentry___unnamed, d_alias))
		return (void *)alias - bpf_core_field_offset(struct dentry___unnamed, d_alias);
	return (void *)alias - bpf_core_field_offset(struct dentry, d_u.d_alias);
}

/* The rule on the name by which a file was reached. Its directory is looked up first: most have no such names. */
static __always_inline struct aegis_object *find_name(u32 slot, void *inodes, struct path *path, struct inode *inode)
{
	struct dentry *dentry = dentry_of(path, inode);
	struct inode *directory = BPF_CORE_READ(dentry, d_parent, d_inode);
	struct aegis_object *object = find_inode(inodes, directory);

	if (!object || !(object->flags & AEGIS_OBJECT_NAMES))
		return NULL;
	return find_in(bpf_map_lookup_elem(&names, &slot), directory, dentry);
}

/*
 * The tree that a file lies in. Goes up to the root of the file system, whatever part of it is mounted here, then on
 * from where it is mounted: what is below a directory stays below it when a part of it is also mounted elsewhere, and
 * what is mounted below it counts as well. A file for which the walk does not end is denied.
 */
static __always_inline struct aegis_object *find_tree(u32 slot, u32 tree_ops, struct path *path, struct inode *inode,
						      u32 op, u32 *flags)
{
	struct vfsmount *vfsmount = BPF_CORE_READ(path, mnt);
	struct mount *mount = (void *)vfsmount - bpf_core_field_offset(struct mount, mnt);
	void *set = bpf_map_lookup_elem(&trees, &slot);
	void *named = bpf_map_lookup_elem(&tree_names, &slot);
	struct dentry *dentry = dentry_of(path, inode);
	/* A root is called "/", which is no name in any directory. */
	struct dentry *below = BPF_CORE_READ(inode, i_sb, s_root);
	struct aegis_name key = {};

	/*
	 * All that a turn finds out has to be forgotten at its end, or the verifier follows each combination through
	 * all turns: so nothing is checked in the loop that could be checked before it.
	 */
	if (!set || !named)
		return NULL;
	for (int level = 0; level < AEGIS_TREE_DEPTH && dentry; level++) {
		struct dentry *parent = BPF_CORE_READ(dentry, d_parent);
		struct inode *directory = BPF_CORE_READ(dentry, d_inode);
		u32 generation = identify_other(&key.directory, directory);
		struct aegis_object *object = bpf_map_lookup_elem(set, &key.directory);

		if (object && object->generation == generation) {
			if (object->flags & AEGIS_OBJECT_TREE && object->ops & op)
				return object;
			if (object->flags & AEGIS_OBJECT_NAMES) {
				__builtin_memset(key.name, 0, sizeof(key.name));
				bpf_probe_read_kernel_str(key.name, sizeof(key.name),
							  BPF_CORE_READ(below, d_name.name));
				object = bpf_map_lookup_elem(named, &key);
				if (object && object->ops & op)
					return object;
			}
		}
		below = dentry;
		if (dentry == parent) {
			struct mount *above = BPF_CORE_READ(mount, mnt_parent);

			if (above == mount)
				return NULL;
			dentry = BPF_CORE_READ(mount, mnt_mountpoint);
			mount = above;
		} else {
			dentry = parent;
		}
	}
	if (dentry && tree_ops & op)
		*flags |= AEGIS_EVENT_TOO_DEEP;
	return NULL;
}

/*
 * What the policy says about the current cgroup and those above it, all flags together. Looked at only once a rule has
 * matched. Walked by hand: LSM programs have no helper for the ids above on v5.10.
 */
static __always_inline u32 cgroup_flags(u32 slot)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct cgroup *cgroup = BPF_CORE_READ(task, cgroups, dfl_cgrp);
	void *set = bpf_map_lookup_elem(&cgroups, &slot);
	u32 flags = 0;

	if (!set)
		return 0;
	for (int level = 0; level < AEGIS_CGROUP_DEPTH && cgroup; level++) {
		u64 id = BPF_CORE_READ(cgroup, kn, id);
		struct aegis_cgroup *entry = bpf_map_lookup_elem(set, &id);
		struct cgroup_subsys_state *above;

		if (entry)
			flags |= entry->flags;
		/* Nothing above can change the answer; the verifier is spared the combinations, too. */
		if (flags & AEGIS_CGROUP_ALLOW)
			return flags;
		above = BPF_CORE_READ(cgroup, self.parent);
		cgroup = above ? (void *)above - bpf_core_field_offset(struct cgroup, self) : NULL;
	}
	return flags;
}

/* What the rules of a slot make of an operation. */
struct match {
	u32 denied;
	u32 rule;
	/* enum aegis_event_flag */
	u32 flags;
};

/* By inode, then by name, then by tree; then by cgroup, which is looked at only once something has matched. */
static __always_inline void match(struct match *match, u32 slot, struct path *path, struct inode *inode,
				  const struct aegis_inode *id, u32 generation, u32 op)
{
	/* Read before `slot` lies in memory as the key of lookups: from there the verifier would not know its bounds. */
	u32 features = control.slots[slot].features, tree_ops = control.slots[slot].tree_ops, key = slot, cgroup;
	void *inodes = bpf_map_lookup_elem(&objects, &key);
	struct aegis_object *object = find(inodes, id, inode, generation);

	if (object && object->flags & AEGIS_OBJECT_FLOOR)
		op &= AEGIS_OP_WRITE;
	if (!(object && object->ops & op) && features & AEGIS_FEATURE_NAMES) {
		object = find_name(key, inodes, path, inode);
		if (object && object->flags & AEGIS_OBJECT_FLOOR)
			op &= AEGIS_OP_WRITE;
	}
	if (!(object && object->ops & op) && features & AEGIS_FEATURE_TREES && op)
		object = find_tree(key, tree_ops, path, inode, op, &match->flags);
	if (object && object->ops & op)
		match->rule = object->rule;
	else if (!match->flags)
		return;
	cgroup = cgroup_flags(key);
	if (cgroup & AEGIS_CGROUP_ALLOW) {
		count(AEGIS_COUNT_ALLOWED_CGROUP);
		return;
	}
	if (features & AEGIS_FEATURE_SCOPE && !(cgroup & AEGIS_CGROUP_SCOPE))
		return;
	match->denied = 1;
}

/* Whether `policy simulate` asks about this open. */
static __always_inline int is_asked(const struct aegis_inode *id, u32 hook)
{
	volatile struct aegis_question *question = &control.question;

	return hook == AEGIS_HOOK_FILE_OPEN && id->ino == question->inode.ino && id->dev == question->inode.dev &&
	       question->tgid && question->tgid == bpf_get_current_pid_tgid() >> 32;
}

static __always_inline void answer(const struct match *found, u32 hook)
{
	control.question.denied = found->denied;
	control.question.rule = found->rule;
	control.question.flags = found->flags;
	control.question.answered = hook;
}

/*
 * The decision. Everything it depends on hangs off one read of control.active: at no instant do two policies apply.
 * Returns non-zero to refuse.
 */
static __always_inline int check_inode(struct inode *inode, struct path *path, u32 op, u32 hook)
{
	u64 active = policy_in_force();
	u32 mode = *(volatile u32 *)&control.mode;
	struct decision why = { .hook = hook, .op = op, .path = path };
	struct match found = {};
	u32 slot = slot_of(active);

	why.generation = identify(&why.inode, inode);
	if (is_canary(&why.inode, hook))
		return 1;
	if (is_asked(&why.inode, hook)) {
		slot = control.question.slot % AEGIS_SLOTS;
		op = control.question.op;
	} else if (!active || mode == AEGIS_MODE_OFF) {
		return 0;
	}
	match(&found, slot, path, inode, &why.inode, why.generation, op);
	/* Asked again, not remembered: the verifier would follow both cases through all of the match. */
	if (is_asked(&why.inode, hook)) {
		answer(&found, hook);
		return 1;
	}
	if (!found.denied)
		return 0;
	why.rule = found.rule;
	why.flags = found.flags;
	why.policy_generation = active >> 8;
	why.mode = control.break_glass ? AEGIS_MODE_AUDIT : mode;
	if (why.mode == AEGIS_MODE_ENFORCE) {
		why.error = EPERM;
		count(AEGIS_COUNT_DENIED);
		emit(&why);
		return 1;
	}
	count(AEGIS_COUNT_WOULD_DENY);
	emit(&why);
	return 0;
}

static __always_inline u32 open_op(struct file *file)
{
	u32 op = 0;

	/* The open that execve(2) makes: not a read by the caller. */
	if (file->f_flags & FMODE_EXEC)
		return AEGIS_OP_EXEC;
	if (file->f_mode & FMODE_READ)
		op |= AEGIS_OP_READ;
	if (file->f_mode & FMODE_WRITE)
		op |= AEGIS_OP_WRITE;
	/* Opened for neither (access mode 3, for ioctl alone): any rule on the file
   * is meant. */
	return op ?: AEGIS_OP_READ | AEGIS_OP_WRITE;
}

static __always_inline int check_open(u64 *ctx, u32 hook)
{
	struct file *file = (void *)ctx[0];

	return check_inode(file->f_inode, __builtin_preserve_access_index(&file->f_path), open_op(file), hook);
}

static __always_inline int check_exec(u64 *ctx, u32 hook)
{
	struct linux_binprm *bprm = (void *)ctx[0];
	struct file *file = bprm->file;

	return check_inode(file->f_inode, __builtin_preserve_access_index(&file->f_path), AEGIS_OP_EXEC, hook);
}

/*
 * The second copies. The kernel skips a tracing program for a task that arrives while another task is preempted inside
 * that program on the same CPU (__bpf_prog_enter, v5.12, ca06f55b9002): as modify-return, the open would pass undecided.
 * So each hook has a second program behind the first. The first leaves a mark when it has let an operation pass; the
 * second takes the mark away and is done, or finds none and decides itself. BPF LSM programs are never skipped, and
 * there the first copy is alone and leaves no mark.
 */
const volatile u32 backed_up = 0;

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, AEGIS_HOOKS);
	__type(key, u32);
	__type(value, u64);
} passed SEC(".maps");

static __always_inline void leave_mark(u32 again)
{
	u64 *mark;

	/* While the second copy is under proof it decides alone. */
	if (!backed_up || control.prover_hook == again)
		return;
	mark = bpf_map_lookup_elem(&passed, &again);
	if (mark)
		*mark = bpf_get_current_task();
}

static __always_inline int take_mark(u32 again)
{
	u64 *mark = bpf_map_lookup_elem(&passed, &again);

	if (!mark || *mark != bpf_get_current_task())
		return 0;
	*mark = 0;
	return 1;
}

SEC("lsm/file_open")
int file_open(u64 *ctx)
{
	if (check_open(ctx, AEGIS_HOOK_FILE_OPEN)) {
		asm volatile("");
		return -EPERM;
	}
	leave_mark(AEGIS_HOOK_FILE_OPEN_AGAIN);
	return 0;
}

SEC("lsm/file_open")
int file_open_again(u64 *ctx)
{
	if (take_mark(AEGIS_HOOK_FILE_OPEN_AGAIN))
		return 0;
	RETURN_VERDICT(check_open(ctx, AEGIS_HOOK_FILE_OPEN_AGAIN));
}

SEC("lsm/bprm_check_security")
int bprm_check_security(u64 *ctx)
{
	if (check_exec(ctx, AEGIS_HOOK_BPRM_CHECK)) {
		asm volatile("");
		return -EPERM;
	}
	leave_mark(AEGIS_HOOK_BPRM_CHECK_AGAIN);
	return 0;
}

SEC("lsm/bprm_check_security")
int bprm_again(u64 *ctx)
{
	if (take_mark(AEGIS_HOOK_BPRM_CHECK_AGAIN))
		return 0;
	RETURN_VERDICT(check_exec(ctx, AEGIS_HOOK_BPRM_CHECK_AGAIN));
}

SEC("lsm/inode_getattr")
int inode_getattr(u64 *ctx)
{
	const struct path *path = (void *)ctx[0];
	struct inode *inode;

	if (enrolled.tid == (u32)bpf_get_current_pid_tgid()) {
		inode = path->dentry->d_inode;
		enrolled.generation = identify(&enrolled.inode, inode);
		enrolled.seq += 1;
		/* Once: overlayfs goes on to ask for the file below (until v6.7, 8a924db2d7b5), and that is another one. */
		enrolled.tid = 0;
	}
	return 0;
}

char _license[] SEC("license") = "GPL";
