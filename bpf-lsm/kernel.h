/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 OR MIT */
/*
 * The kernel's types, cut down to the fields that are read. CO-RE finds their
 * real offsets on the kernel at hand, so neither order nor size matters here,
 * and builds do not depend on the build host's kernel.
 */
#ifndef AEGIS_KERNEL_H
#define AEGIS_KERNEL_H

#include "abi.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct dentry;

struct mount;

struct list_head {
	struct list_head *next;
};

struct super_block {
	u32 s_dev;
	unsigned long s_magic;
	struct dentry *s_root;
	struct mount *s_mounts;
};

/* Until v6.17 the mounts of a file system are a list. */
struct super_block___list {
	struct list_head s_mounts;
};

struct mount___list {
	struct list_head mnt_instance;
};

struct hlist_node {
	struct hlist_node *next;
};

struct hlist_head {
	struct hlist_node *first;
};

struct inode {
	u16 i_mode;
	unsigned long i_ino;
	u32 i_generation;
	void *i_private;
	struct super_block *i_sb;
	struct hlist_head i_dentry;
};

struct btrfs_key {
	u64 objectid;
};

struct btrfs_root_item {
	u64 last_snapshot;
	u64 otransid;
};

struct btrfs_root {
	struct btrfs_root_item root_item;
	struct btrfs_key root_key;
};

struct btrfs_inode {
	struct btrfs_root *root;
	struct inode vfs_inode;
};

struct qstr {
	u64 hash_len;
	const unsigned char *name;
};

struct dentry {
	u32 d_flags;
	struct dentry *d_parent;
	struct qstr d_name;
	struct inode *d_inode;
	struct super_block *d_sb;
	union {
		struct hlist_node d_alias;
	} d_u;
};

/* The name of the union went with a kernel between v7.2 and v7.3. */
struct dentry___unnamed {
	struct hlist_node d_alias;
};

struct vfsmount {
	struct dentry *mnt_root;
	struct super_block *mnt_sb;
};

struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
	int mnt_group_id;
};

struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};

struct file {
	struct inode *f_inode;
	u32 f_mode;
	u32 f_flags;
	struct path f_path;
};

struct vm_area_struct {
	struct file *vm_file;
};

struct ns_common {
	u32 inum;
};

struct mnt_namespace {
	struct ns_common ns;
};

struct pid_namespace {
	struct ns_common ns;
};

struct nsproxy {
	struct mnt_namespace *mnt_ns;
};

struct upid {
	int nr;
	struct pid_namespace *ns;
};

struct pid {
	u32 level;
	struct upid numbers[];
};

struct kernfs_node {
	u64 id;
	const char *name;
};

struct cgroup_subsys_state {
	struct cgroup_subsys_state *parent;
};

struct cgroup {
	struct cgroup_subsys_state self;
	struct kernfs_node *kn;
};

struct css_set {
	struct cgroup *dfl_cgrp;
};

struct mm_struct {
	struct file *exe_file;
};

typedef struct {
	u32 val;
} kuid_t;

struct task_struct {
	int tgid;
	char comm[AEGIS_COMM_BYTES];
	/* With CONFIG_AUDIT alone. */
	kuid_t loginuid;
	u32 personality;
	u32 ptrace;
	struct task_struct *real_parent;
	struct pid *thread_pid;
	struct nsproxy *nsproxy;
	struct mm_struct *mm;
	struct files_struct *files;
	struct css_set *cgroups;
};

struct fdtable {
	u32 max_fds;
	struct file **fd;
};

struct files_struct {
	struct fdtable *fdt;
};

struct bpf_map {
	u32 id;
};

struct bpf_prog_aux {
	u32 id;
};

struct bpf_prog {
	struct bpf_prog_aux *aux;
};

#pragma clang attribute pop

/* include/linux/fs.h: stable since v2.6.37; __FMODE_EXEC marks the open that an
 * exec makes (fs/exec.c). */
enum {
	FMODE_READ = 0x1,
	FMODE_WRITE = 0x2,
	FMODE_EXEC = 0x20,
	/* O_PATH: a descriptor that opened nothing. */
	FMODE_PATH = 0x4000,
};

/* include/uapi/asm-generic/mman-common.h, include/uapi/linux/personality.h, include/uapi/linux/fs.h */
enum {
	PROT_READ = 1,
	PROT_EXEC = 4,
	READ_IMPLIES_EXEC = 0x400000,
	RENAME_EXCHANGE = 2,
};

/*
 * The ioctl(2) requests that change a file through a descriptor that is open for reading (include/uapi/linux/fs.h,
 * fsverity.h, msdos_fs.h, fs/ext4/ext4.h). The numbers are the same on x86_64 and arm64; those with 32 are what a 32-bit
 * process passes.
 */
enum {
	FS_IOC_SETFLAGS = 0x40086602,
	FS_IOC32_SETFLAGS = 0x40046602,
	FS_IOC_FSSETXATTR = 0x401c5820,
	FS_IOC_ENABLE_VERITY = 0x40806685,
	FAT_IOCTL_SET_ATTRIBUTES = 0x40047211,
	FS_IOC_SETVERSION = 0x40087602,
	FS_IOC32_SETVERSION = 0x40047602,
	EXT4_IOC_SETVERSION = 0x40086604,
};

/* include/uapi/linux/mount.h: what a call of mount(2) is about, where it is not about mounting. */
enum {
	MS_REMOUNT = 0x20,
	MS_BIND = 0x1000,
	MS_UNBINDABLE = 0x20000,
	MS_PRIVATE = 0x40000,
	MS_SLAVE = 0x80000,
	MS_SHARED = 0x100000,
};

/* include/linux/ptrace.h; include/linux/sched/signal.h: a signal that the kernel itself sends. */
enum {
	PTRACE_MODE_ATTACH = 2,
	SEND_SIG_PRIV = 1,
};

/* include/uapi/linux/prctl.h */
enum {
	PR_SET_MM = 35,
	PR_SET_MM_EXE_FILE = 13,
	PR_SET_MM_MAP = 14,
};

/* include/uapi/linux/stat.h */
enum {
	S_IFMT = 0170000,
	S_IFDIR = 0040000,
};

/* include/linux/dcache.h: not known to be below the root of its file system. */
enum {
	DCACHE_DISCONNECTED = 0x20,
};

/* include/uapi/linux/magic.h */
enum {
	BTRFS_SUPER_MAGIC = 0x9123683E,
	OVERLAYFS_SUPER_MAGIC = 0x794c7630,
	CGROUP2_SUPER_MAGIC = 0x63677270,
};

enum {
	EPERM = 1,
};

#endif
