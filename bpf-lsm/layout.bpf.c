// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 OR MIT
/*
 * Never loaded: one global of every shared type, so that its BTF is emitted for
 * the build to compare with the agent's mirrors. A type that a program only
 * reaches through a ring buffer pointer is absent from that program's BTF.
 */
#include "abi.h"

struct aegis_inode inode;
struct aegis_object object;
struct aegis_cgroup cgroup;
struct aegis_name name;
struct aegis_control control;
struct aegis_filter filter;
struct aegis_enrolled enrolled;
struct aegis_binary binary;
struct aegis_guard guard;
struct aegis_repeat repeat;
struct aegis_repeats repeats;
struct aegis_ancestor ancestor;
struct aegis_likeness likeness;
struct aegis_event event;
struct aegis_trace_path trace_path;
struct aegis_trace_prefix trace_prefix;

enum aegis_const constants;
enum aegis_mode mode;
enum aegis_op op;
enum aegis_hook hook;
enum aegis_kind kind;
enum aegis_event_flag event_flag;
enum aegis_counter counter;
enum aegis_object_flag object_flag;
enum aegis_cgroup_flag cgroup_flag;
enum aegis_feature feature;
enum aegis_filter_flag filter_flag;
