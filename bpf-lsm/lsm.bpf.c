// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 OR MIT
/*
 * The enforcing programs, one a hook for all rules. Each runs unchanged as a
 * BPF LSM program and as modify-return of the kernel function that calls the
 * hook: both get the hook's arguments, and the same ones as far as they are
 * read here. Which claim rests on which hook is in tiers/.
 *
 *   file.bpf.h        what is done to an open file, or by opening it
 *   entry.bpf.h       what is done to a name in a directory, and to attributes
 *   guard.bpf.h       what is done to the agent itself, its maps, programs, pins and binary; attached with --guard
 *   enrol             records what a descriptor stands for; run by whoever enrols paths, attached to nothing
 *
 * A hook returns constants from branches only: the verifier of v6.12 refuses
 * LSM programs whose return value it cannot bound, and `return cond ? -1 : 0`
 * compiles to arithmetic. The empty asm keeps clang from folding the branch.
 */
#include "decide.bpf.h"

#include "entry.bpf.h"
#include "file.bpf.h"
#include "guard.bpf.h"

/* Filled by the enrolment program, mapped by the one enrolling. */
struct aegis_enrolled enrolled SEC(".data.enrolled");

static __always_inline struct file *file_of_descriptor(u64 descriptor)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	struct file **files = BPF_CORE_READ(table, fd), *file = NULL;

	if (descriptor < BPF_CORE_READ(table, max_fds))
		bpf_probe_read_kernel(&file, sizeof(file), files + descriptor);
	return file;
}

/* Run with a descriptor of the caller's as its argument; attached to nothing. Answers whether there is one. */
SEC("raw_tracepoint")
int enrol(u64 *ctx)
{
	struct file *file = file_of_descriptor(ctx[0]);

	if (!file)
		return 0;
	__sync_fetch_and_add(&enrolled.began, 1);
	enrolled.tid = bpf_get_current_pid_tgid();
	enrolled.dentry = (u64)BPF_CORE_READ(file, f_path.dentry);
	enrolled.mount = (u64)BPF_CORE_READ(file, f_path.mnt);
	enrolled.generation = identify(&enrolled.inode, BPF_CORE_READ(file, f_path.dentry, d_inode));
	__sync_fetch_and_add(&enrolled.ended, 1);
	return 1;
}

char _license[] SEC("license") = "GPL";
