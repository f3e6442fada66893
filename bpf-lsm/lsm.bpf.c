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
 *   inode_getattr     records what stat(2) reached, while paths are enrolled; never refuses
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

SEC("lsm/inode_getattr")
int inode_getattr(u64 *ctx)
{
	const struct path *path = (void *)ctx[0];
	struct inode *inode;

	if (enrolled.tid == (u32)bpf_get_current_pid_tgid()) {
		inode = path->dentry->d_inode;
		enrolled.generation = identify(&enrolled.inode, inode);
		enrolled.dentry = number_at(__builtin_preserve_access_index(&path->dentry));
		enrolled.mount = number_at(__builtin_preserve_access_index(&path->mnt));
		enrolled.seq += 1;
		/* Once: overlayfs goes on to ask for the file below (until v6.7, 8a924db2d7b5), and that is another one. */
		enrolled.tid = 0;
	}
	return 0;
}

char _license[] SEC("license") = "GPL";
