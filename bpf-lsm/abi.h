/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 OR MIT */
/*
 * The one source of every layout that kernel and agent share.
 *
 * Fixed-width types, explicit padding, no bool, pointer or bit-field. The build
 * reads these types back from the compiled objects' BTF and compares each size,
 * offset and field with the mirrors in src/abi.rs: a change here stops the
 * build there, and names the field. A change of meaning or layout raises
 * AEGIS_ABI_VERSION.
 */
#ifndef AEGIS_ABI_H
#define AEGIS_ABI_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef int s32;
typedef long long s64;

enum aegis_const {
	AEGIS_ABI_VERSION = 6,
	/* Policy generations that the kernel holds at once: the active one, the one
     being built, and two to go back to. */
	AEGIS_SLOTS = 4,
	AEGIS_COMM_BYTES = 16,
	/* A file name with its NUL: NAME_MAX is 255 in include/uapi/linux/limits.h.
   */
	AEGIS_NAME_BYTES = 256,
	/*
	 * Room for the three paths of an event: most fit the small record, the others get the large one. DEPTH counts
	 * components and mounts crossed; a deeper path arrives marked as cut. The name of a cgroup that holds a container
	 * is longer than most names.
	 */
	AEGIS_SMALL_BYTES = 512,
	AEGIS_SMALL_NAME_BYTES = 64,
	AEGIS_SMALL_CGROUP_BYTES = 128,
	AEGIS_SMALL_DEPTH = 12,
	AEGIS_LARGE_BYTES = 8192,
	AEGIS_LARGE_DEPTH = 48,
	/* Levels of the cgroup hierarchy that are named. */
	AEGIS_CGROUP_NAMES = 8,
	/* The ring buffer, and the part of it that is kept for what was denied. */
	AEGIS_EVENT_MIB = 4,
	AEGIS_DENY_MIB = 1,
	/* Processes above the one that an event is about, and what is kept of the name of what each executes. */
	AEGIS_ANCESTORS = 6,
	AEGIS_ANCESTOR_BYTES = 28,
	/* Kinds of decisions that are counted where they are made, and the 64-bit words that tell them apart. */
	AEGIS_REPEATS = 32,
	AEGIS_LIKENESS_WORDS = 16,
	/* Levels of the cgroup hierarchy that a decision looks at. */
	AEGIS_CGROUP_DEPTH = 32,
	/* Directories and mounts that a decision looks at above a file, where the policy has trees. What lies deeper is
     denied. */
	AEGIS_TREE_DEPTH = 64,
	/* In the low byte of control.active, above the slot: the policy holds until control.revert_at only. */
	AEGIS_PROVISIONAL = 0x80,
	AEGIS_SHA256_BYTES = 32,
	/* Programs on disk that count as the agent: the one that runs, and the one that comes after it. */
	AEGIS_BINARIES = 2,
	/* What the self-guard keeps from others: kinds of rule sets for each slot, then the other maps; programs. */
	AEGIS_SET_KINDS = 5,
	AEGIS_GUARDED_MAPS = 48,
	AEGIS_GUARDED_PROGRAMS = 96,
	/* Directories and mounts between our pins and the root. */
	AEGIS_PINS_DEPTH = 16,
	/* 64-bit words of the filter, a power of two: 4 MiB, the most that a value of an array takes on v5.10
     (KMALLOC_MAX_SIZE, kernel/bpf/arraymap.c). */
	AEGIS_FILTER_WORDS = 524288,
	AEGIS_FILTER_SHIFT = 45,
	AEGIS_FILTER_EPOCH = 20,
	/* How many words of it are kept with a policy under one key. */
	AEGIS_FILTER_PART = 32,
	/* Longest path, with its NUL, that the tracepoint tier compares. */
	AEGIS_TRACE_PATH_BYTES = 256,
};

enum aegis_mode {
	AEGIS_MODE_OFF = 0,
	AEGIS_MODE_AUDIT = 1,
	AEGIS_MODE_ENFORCE = 2,
};

/* Operations, as bits. */
enum aegis_op {
	AEGIS_OP_READ = 1,
	AEGIS_OP_WRITE = 2,
	AEGIS_OP_EXEC = 4,
	/* Not of a policy: the self-guard's. */
	AEGIS_OP_GUARD = 8,
};

enum aegis_hook {
	AEGIS_HOOK_NONE = 0,
	AEGIS_HOOK_FILE_OPEN = 1,
	AEGIS_HOOK_FILE_RECEIVE = 2,
	AEGIS_HOOK_TRACE_OPEN = 3,
	AEGIS_HOOK_TRACE_EXEC = 4,
	AEGIS_HOOK_MMAP_FILE = 5,
	AEGIS_HOOK_FILE_MPROTECT = 6,
	AEGIS_HOOK_FILE_IOCTL = 7,
	AEGIS_HOOK_INODE_SETATTR = 8,
	AEGIS_HOOK_INODE_FILE_SETATTR = 9,
	AEGIS_HOOK_INODE_SETXATTR = 10,
	AEGIS_HOOK_INODE_REMOVEXATTR = 11,
	AEGIS_HOOK_INODE_SET_ACL = 12,
	AEGIS_HOOK_INODE_REMOVE_ACL = 13,
	AEGIS_HOOK_INODE_UNLINK = 14,
	AEGIS_HOOK_INODE_RMDIR = 15,
	AEGIS_HOOK_INODE_RENAME = 16,
	AEGIS_HOOK_INODE_LINK = 17,
	AEGIS_HOOK_INODE_CREATE = 18,
	AEGIS_HOOK_INODE_MKDIR = 19,
	AEGIS_HOOK_INODE_MKNOD = 20,
	AEGIS_HOOK_INODE_SYMLINK = 21,
	AEGIS_HOOK_INODE_PERMISSION = 22,
	AEGIS_HOOK_BPF_MAP = 23,
	AEGIS_HOOK_BPF_PROG = 24,
	AEGIS_HOOK_SB_MOUNT = 25,
	AEGIS_HOOK_MOVE_MOUNT = 26,
	AEGIS_HOOK_SB_UMOUNT = 27,
	AEGIS_HOOK_PTRACE_ACCESS_CHECK = 28,
	AEGIS_HOOK_TASK_KILL = 29,
	AEGIS_HOOK_TASK_PRCTL = 30,
	AEGIS_HOOK_GUARD_OPEN = 31,
	AEGIS_HOOKS = 32,
	/* A bit: the second copy of a hook's program, see lsm.bpf.c. */
	AEGIS_HOOK_AGAIN = 64,
};

enum aegis_kind {
	AEGIS_KIND_DENY = 1,
	AEGIS_KIND_WOULD_DENY = 2,
};

enum aegis_event_flag {
	/* The path had more components or bytes than an event carries: the start is
     missing. */
	AEGIS_EVENT_PATH_CUT = 1,
	AEGIS_EVENT_EXE_CUT = 2,
	/* Denied because it lies deeper than a decision looks for trees. */
	AEGIS_EVENT_TOO_DEEP = 4,
	/* Denied because the process would leave the scope of the rules. */
	AEGIS_EVENT_WAY_OUT = 8,
	/* Denied because nobody knows where the file is, and a rule by place may mean it. */
	AEGIS_EVENT_UNPLACED = 16,
	AEGIS_EVENT_CGROUP_CUT = 32,
};

enum aegis_counter {
	AEGIS_COUNT_DENIED = 0,
	AEGIS_COUNT_WOULD_DENY = 1,
	AEGIS_COUNT_ALLOWED_CGROUP = 2,
	AEGIS_COUNT_SUBMITTED = 3,
	AEGIS_COUNT_LOST = 4,
	AEGIS_COUNTERS = 5,
};

enum aegis_object_flag {
	/* The rule named device and inode number only: any generation of that number
     is meant. */
	AEGIS_OBJECT_ANY_GENERATION = 1,
	/* A directory in which names are denied, whatever file they lead to. */
	AEGIS_OBJECT_NAMES = 2,
	/* The survival floor: whatever else matches, only writing is denied. */
	AEGIS_OBJECT_FLOOR = 4,
	/* A directory that is denied with everything below it. */
	AEGIS_OBJECT_TREE = 8,
	/* In volume 0: means only what snapshots hold of a file that is denied in its own subvolume. */
	AEGIS_OBJECT_INHERITED = 16,
};

enum aegis_cgroup_flag {
	AEGIS_CGROUP_ALLOW = 1,
	/* The rules bind processes in such cgroups, and no others. */
	AEGIS_CGROUP_SCOPE = 2,
};

/* What a policy uses, so that decisions do not look for what is not there. */
enum aegis_feature {
	AEGIS_FEATURE_NAMES = 1,
	AEGIS_FEATURE_SCOPE = 2,
	AEGIS_FEATURE_TREES = 4,
};

/* What is looked at beside the inode itself, and when everything is; in the upper half of control.filter. */
enum aegis_filter_flag {
	/* The directory of a file is looked up as well. */
	AEGIS_FILTER_NAMES = 1,
	/* And all above it. */
	AEGIS_FILTER_TREES = 2,
	/* Every file of the cgroup file system is looked at. */
	AEGIS_FILTER_SCOPE = 4,
	/* A hook is being proven, a question is being asked: everything is looked at. */
	AEGIS_FILTER_PROVING = 8,
	AEGIS_FILTER_ASKING = 16,
};

/* What an inode is to the kernel: s_dev in the kernel's own encoding (major <<
 * 20 | minor), and i_ino. */
struct aegis_inode {
	u64 ino;
	u32 dev;
	/* On btrfs the subvolume, on overlayfs the device that the file lies on. 0: another file system, or not known; in
     a rule: any. */
	u32 volume;
};

/* What the policy says about one inode. */
struct aegis_object {
	/* i_generation: a reused inode number has another one. */
	u32 generation;
	/* enum aegis_object_flag */
	u32 flags;
	/* 1 and up: the position of the rule in the policy. */
	u32 rule;
	/* enum aegis_op */
	u32 ops;
};

/* A name in a directory, NUL-padded: what is found there is denied even when it is another file by now. */
struct aegis_name {
	struct aegis_inode directory;
	u8 name[AEGIS_NAME_BYTES];
};

/* What the policy says about one cgroup. */
struct aegis_cgroup {
	/* enum aegis_cgroup_flag */
	u32 flags;
	u32 pad;
};

/* One rule set in the kernel, and what it came from. */
struct aegis_slot {
	/* The policy's number; 0: the slot is empty, or being filled. */
	u64 generation;
	/* enum aegis_feature */
	u32 features;
	/* enum aegis_op: what some tree denies. */
	u32 tree_ops;
	/* Deny rules of the policy. */
	u32 rules;
	/* enum aegis_op: what any rule denies; with a scope, also writing. */
	u32 ops;
	/* No program reads these two: how many words of the filter this policy alone takes, and how many bits it has there. */
	u32 filter_words;
	u32 filter_bits;
	/* Of the policy's text. */
	u64 sha256[AEGIS_SHA256_BYTES / 8];
};

/*
 * A question: would the rules in `slot` deny `op` on this inode to this process? It is answered when the process opens
 * the inode; that open is refused and changes nothing.
 */
struct aegis_question {
	struct aegis_inode inode;
	u32 tgid;
	u32 op;
	u32 slot;
	u32 pad;
	/* The answer. enum aegis_hook: which hook gave it; 0: none yet. */
	u32 answered;
	/* 1: denied. */
	u32 denied;
	u32 rule;
	/* enum aegis_event_flag */
	u32 flags;
};

/* A program on disk, as the kernel has it. */
struct aegis_binary {
	struct aegis_inode inode;
	u32 generation;
	u32 pad;
};

/* The self-guard: what it keeps, and from whom. */
struct aegis_guard {
	/* 0: nothing is kept from anybody. */
	u32 armed;
	/* The agent and its helper, as the first pid namespace numbers them. */
	u32 agent;
	u32 helper;
	u32 pad;
	/* Who executes one of these may do what others may not. */
	struct aegis_binary enrolled[AEGIS_BINARIES];
	/* The directory that all our pins are in. */
	struct aegis_inode pins;
	/* Where it is: addresses of its dentry and of its mount, from the enrolment program. */
	u64 dentry;
	u64 mount;
	/* Ids; 0: none. */
	u32 maps[AEGIS_GUARDED_MAPS];
	u32 programs[AEGIS_GUARDED_PROGRAMS];
};

/*
 * A kind of decision that is counted instead of told. The agent writes it when it has seen many of the kind, at the place
 * that `place_of` in src/agent/hot.rs computes as is_repeat() does; it renews `until_ns` (CLOCK_BOOTTIME) for as long as it
 * takes the counts away, so that everything is told again soon after it died.
 */
struct aegis_repeat {
	u64 until_ns;
	/* When the last one was counted. */
	u64 last_ns;
	u64 count;
	/* struct aegis_likeness */
	u64 like[AEGIS_LIKENESS_WORDS];
};

struct aegis_repeats {
	/* No program reads these two: decisions that the agent took from the kernel and has not told yet, which are lost when it
     dies; and those that were lost with the agents before. */
	u64 untold;
	u64 forgotten;
	struct aegis_repeat kinds[AEGIS_REPEATS];
};

/*
 * Shared with every program, mapped by the agent. Each field is written by one
 * aligned store.
 */
struct aegis_control {
	u32 abi;
	/* enum aegis_mode */
	u32 mode;
	/* Policy generation << 8 | slot + 1, with AEGIS_PROVISIONAL when it waits to be confirmed; 0: no policy. A decision
     reads it once. */
	u64 active;
	/* From this instant (CLOCK_BOOTTIME, nanoseconds) a provisional policy is no longer in force, but `revert_to`,
     which has the form of `active`. No process is needed for that. */
	u64 revert_at;
	u64 revert_to;
	/* Non-zero: whatever the mode, only audit. */
	u32 break_glass;
	/* The process that proves, and the hook it proves now: the canary is denied
   * to nobody else, nowhere else. 0: none. */
	u32 prover_tgid;
	u32 prover_hook;
	u32 pad;
	struct aegis_inode canary;
	/* How the filter is to be read, in one word. From the lowest bit on: how many words of it are used, less one; from
     AEGIS_FILTER_EPOCH on a number that is another one after each change; from 32 on enum aegis_filter_flag. */
	u64 filter;
	struct aegis_slot slots[AEGIS_SLOTS];
	struct aegis_question question;
	struct aegis_guard guard;
	struct aegis_repeats repeats;
};

/*
 * What the rules in force name, as bits that two things may share: inodes, directories with rules by place, trees, and
 * names in a directory. Where one of its bits is missing, no rule names a thing. See bpf-lsm/filter.bpf.h and
 * src/enforce/filter.rs. A map of its own: most of it is never touched.
 */
struct aegis_filter {
	u64 words[AEGIS_FILTER_WORDS];
};

/* A part of what the filter has to hold for one policy, kept with it for when it comes into force again. */
struct aegis_filter_part {
	u64 words[AEGIS_FILTER_PART];
};

/* What the enrolment program saw last. Several may enrol at a time, and each tells its own record from those of others. */
struct aegis_enrolled {
	struct aegis_inode inode;
	u32 generation;
	/* The thread that enrolled, as the first pid namespace numbers it. */
	u32 tid;
	/* Both grow by one with each record: while they differ, one is being written. */
	u32 began;
	u32 ended;
	/* Addresses of the dentry and of the mount. */
	u64 dentry;
	u64 mount;
};

/* A process above the one that an event is about. */
struct aegis_ancestor {
	/* 0: there is none. */
	u32 pid;
	/* The file name of what it executes, NUL-terminated and cut to fit; of a kernel thread its own name. */
	u8 exe[AEGIS_ANCESTOR_BYTES];
};

/*
 * What decisions that are told together have in common. Addresses stand for paths, which take far longer to write down;
 * with the names and the directory of the object, since an address can come back as that of something else.
 */
struct aegis_likeness {
	u64 policy_generation;
	u64 cgroup;
	struct aegis_inode inode;
	u32 generation;
	/* enum aegis_hook, of the first copy */
	u32 hook;
	/* enum aegis_op */
	u32 op;
	/* enum aegis_mode */
	u32 mode;
	/* With AEGIS_OP_GUARD what was reached for: the id of a map or program, or a process. */
	u32 rule;
	/* enum aegis_event_flag, but for what was cut */
	u32 flags;
	u32 uid;
	u32 gid;
	/* Who logged in; all bits set: nobody did (include/linux/uidgid.h, INVALID_UID). */
	u32 login_uid;
	u32 pad;
	/* Of the object: addresses of its dentry, its mount and its directory; hash and length of its name. The first is 0 where
     the hook does not know it. */
	u64 dentry;
	u64 mount;
	u64 directory;
	u64 name;
	/* Of the executable: addresses of its dentry and its mount, and its inode number. */
	u64 exe_dentry;
	u64 exe_mount;
	u64 exe_ino;
};

/*
 * An event begins with its kind and size. Behind it come path_len bytes of the
 * object's path, then exe_len bytes of the executable's and cgroup_len bytes of
 * the cgroup's, each as NUL-terminated components from the last to the first,
 * as the kernel walks them. The tracepoint tier carries the path as the process
 * passed it, in one piece.
 */
struct aegis_event {
	/* enum aegis_kind */
	u32 kind;
	/* Bytes of this struct and of what follows. */
	u32 size;
	/* CLOCK_BOOTTIME, nanoseconds. */
	u64 time_ns;
	struct aegis_likeness like;
	s32 error;
	u32 pid;
	u32 tid;
	u32 mount_ns;
	u32 pid_ns;
	/* enum aegis_event_flag: what was cut */
	u32 cut;
	u32 path_len;
	u32 exe_len;
	u32 cgroup_len;
	u32 pad;
	u8 comm[AEGIS_COMM_BYTES];
	/* The parent first. */
	struct aegis_ancestor ancestors[AEGIS_ANCESTORS];
};

/* A path rule of the tracepoint tier: compared with what the process passed,
 * NUL-padded. */
struct aegis_trace_path {
	u8 path[AEGIS_TRACE_PATH_BYTES];
};

/* A tree of the tracepoint tier: the beginning of what the process passed, `bits` of it. */
struct aegis_trace_prefix {
	u32 bits;
	u8 path[AEGIS_TRACE_PATH_BYTES];
};

#endif
