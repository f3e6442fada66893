# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_aegisbpf_global_optspecs
    string join \n config-dir= state-dir= run-dir= bpffs= h/help V/version
end

function __fish_aegisbpf_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_aegisbpf_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_aegisbpf_using_subcommand
    set -l cmd (__fish_aegisbpf_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c aegisbpf -n "__fish_aegisbpf_needs_command" -l config-dir -d 'Policy, keys and the break-glass file' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_needs_command" -l state-dir -d 'What survives a reboot' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_needs_command" -l run-dir -d 'Agent state and canaries' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_needs_command" -l bpffs -d 'A mounted BPF file system; pins go to aegisbpf/ below it' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_needs_command" -s h -l help -d 'Print help'
complete -c aegisbpf -n "__fish_aegisbpf_needs_command" -s V -l version -d 'Print version'
complete -c aegisbpf -n "__fish_aegisbpf_needs_command" -f -a "run" -d 'Watch or enforce a policy until told to stop'
complete -c aegisbpf -n "__fish_aegisbpf_needs_command" -f -a "demo" -d 'Show on this host what works: a file before and after, the event, the way back'
complete -c aegisbpf -n "__fish_aegisbpf_needs_command" -f -a "canary" -d 'Try a policy in stages, audit then enforce, against thresholds; keep the evidence'
complete -c aegisbpf -n "__fish_aegisbpf_needs_command" -f -a "doctor" -d 'Find out what this host can do, why, and what would mend it'
complete -c aegisbpf -n "__fish_aegisbpf_needs_command" -f -a "explain" -d 'Say more about something that another command named: a check, a cause, a claim, a failure, a fault of a policy'
complete -c aegisbpf -n "__fish_aegisbpf_needs_command" -f -a "probe" -d 'Ask the kernel every question by trial and print the answers'
complete -c aegisbpf -n "__fish_aegisbpf_needs_command" -f -a "contract" -d 'Print what each tier denies, observes and cannot do, and what happens in each failure'
complete -c aegisbpf -n "__fish_aegisbpf_needs_command" -f -a "status" -d 'Show what is in force, in one screen'
complete -c aegisbpf -n "__fish_aegisbpf_needs_command" -f -a "health" -d 'Judge what is in force: exit 0 healthy, 1 degraded or unhealthy, 2 misreporting'
complete -c aegisbpf -n "__fish_aegisbpf_needs_command" -f -a "stats" -d 'Count what was decided: by hook, cgroup, rule, inode or path'
complete -c aegisbpf -n "__fish_aegisbpf_needs_command" -f -a "metrics" -d 'Print what is in force as metrics for Prometheus, write them to a file, or answer requests for them'
complete -c aegisbpf -n "__fish_aegisbpf_needs_command" -f -a "policy" -d 'Check, apply, compare and take back policies'
complete -c aegisbpf -n "__fish_aegisbpf_needs_command" -f -a "keys" -d 'Make keys, and say who is trusted to sign policies'
complete -c aegisbpf -n "__fish_aegisbpf_needs_command" -f -a "audit" -d 'Show and check the log of what was done to the policy and to enforcement'
complete -c aegisbpf -n "__fish_aegisbpf_needs_command" -f -a "event" -d 'Check events that were written'
complete -c aegisbpf -n "__fish_aegisbpf_needs_command" -f -a "break-glass" -d 'Suspend every denial at once, and let them return'
complete -c aegisbpf -n "__fish_aegisbpf_needs_command" -f -a "guard" -d 'Say whether the self-guard is armed, and let in the next binary'
complete -c aegisbpf -n "__fish_aegisbpf_needs_command" -f -a "detach" -d 'End enforcement: remove every program, map and link of ours from the kernel'
complete -c aegisbpf -n "__fish_aegisbpf_needs_command" -f -a "reset" -d 'End enforcement and forget every policy that was applied; the audit log is kept'
complete -c aegisbpf -n "__fish_aegisbpf_needs_command" -f -a "install" -d 'Put this file and what belongs to it where a system looks for it: the service, manual pages, completions'
complete -c aegisbpf -n "__fish_aegisbpf_needs_command" -f -a "uninstall" -d 'Remove what `install` put there, and nothing else'
complete -c aegisbpf -n "__fish_aegisbpf_needs_command" -f -a "completions" -d 'Print what bash, zsh or fish complete'
complete -c aegisbpf -n "__fish_aegisbpf_needs_command" -f -a "man" -d 'Print a manual page'
complete -c aegisbpf -n "__fish_aegisbpf_needs_command" -f -a "schema" -d 'Print the JSON Schema of what a command prints'
complete -c aegisbpf -n "__fish_aegisbpf_needs_command" -f -a "version" -d 'Print version and build'
complete -c aegisbpf -n "__fish_aegisbpf_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand run" -l policy -d 'The policy [default: policy.conf in the configuration directory]' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand run" -l sha256 -d 'SHA-256 that the policy must have' -r
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand run" -l tier -d 'This tier and no other: bpf-lsm, modify-return or tracepoint' -r
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand run" -l on-degraded -d 'What to do where enforcement was asked for and cannot be had' -r -f -a "exit\t'Do not start'
audit\t'Run in audit mode, and say so everywhere'"
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand run" -l lsm-hook -d 'Which hooks ask the rules. auto and file: those of the contract; inode and both: `inode_permission` as well, which refuses denied inodes to access(2) and on the way to other files, at a cost for every directory of every path' -r -f -a "auto\t'Those that the contract rests on'
file\t'The same'
inode\t'Those, and `inode_permission`'
both\t'The same'"
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand run" -l enforce-signal -d 'Which signal a denied process gets. `none` is what there is: a denied operation answers EPERM, and its process lives to handle that' -r -f -a "none\t'None: EPERM is the verdict'
term\t'Refused'
int\t'Refused'
kill\t'Refused'"
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand run" -l proof-interval -d 'How often to prove enforcement again' -r
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand run" -l repeat-window -d 'Tell a decision at once, and count those that repeat it for so long before they are told as one event with their number; 0s: tell each' -r
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand run" -l log-format -d 'How events are written to standard output or to a file' -r -f -a "text\t'A line for a person'
json\t'A JSON object a line'"
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand run" -l event-format -d 'Which JSON: of AegisBPF, of OCSF 1.8.0, or of ECS 9.0.0; the last two hold the first as well' -r -f -a "native\t'`docs/schema/event.schema.json`'
ocsf\t'Open Cybersecurity Schema Framework'
ecs\t'Elastic Common Schema'"
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand run" -l log-to -d 'Where events go. The journal gets a field for each key, `AEGISBPF_` and its name' -r -f -a "stdout\t'Standard output'
journal\t'The journal of systemd'
both\t'Both'"
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand run" -l log-file -d 'Append events to this file instead of standard output, and begin a new one at SIGUSR1' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand run" -l log-file-mode -d 'Mode of that file, within 0664' -r
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand run" -l log-file-group -d 'Group of that file, by name or number' -r
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand run" -l config-dir -d 'Policy, keys and the break-glass file' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand run" -l state-dir -d 'What survives a reboot' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand run" -l run-dir -d 'Agent state and canaries' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand run" -l bpffs -d 'A mounted BPF file system; pins go to aegisbpf/ below it' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand run" -l audit -d 'Report what would be denied, deny nothing (the default)'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand run" -l enforce -d 'Deny'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand run" -l allow-unsigned-policy -d 'Enforce a policy that nobody signed; reported in every status'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand run" -l allow-missing -d 'Accept paths and cgroups that do not exist; a path is bound by its name, a cgroup once the policy is reloaded'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand run" -l allow-critical -d 'Accept rules on init, the dynamic loader and the agent, without which the host cannot be repaired'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand run" -l guard -d 'Arm the self-guard: keep maps, programs, pins, memory and binary of the agent from every other program, root\'s too'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand run" -l strict -d 'Exit when an optional hook is missing or a proof fails'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand run" -l allow-sigkill -d 'Accepted, and of no effect: no signal is sent'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand run" -l seccomp -d 'Accepted, and of no effect: the system call filter is always there'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand run" -l no-sandbox -d 'For debugging: keep the capabilities, and leave out Landlock and the system call filter; every status says so'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand run" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand run" -s V -l version -d 'Print version'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand demo" -l config-dir -d 'Policy, keys and the break-glass file' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand demo" -l state-dir -d 'What survives a reboot' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand demo" -l run-dir -d 'Agent state and canaries' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand demo" -l bpffs -d 'A mounted BPF file system; pins go to aegisbpf/ below it' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand demo" -s h -l help -d 'Print help'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand demo" -s V -l version -d 'Print version'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand canary" -l phase -d 'What to try' -r -f -a "audit\t'Report what would be denied'
enforce\t'Deny'
both\t'The one, and when it passed the other; with --attach whatever runs'"
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand canary" -l duration -d 'How long each phase is, in seconds or as in 5m' -r
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand canary" -l interval -d 'Time from one sample to the next, in seconds or as in 500ms' -r
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand canary" -l policy -d 'The policy [default: policy.conf in the configuration directory]' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand canary" -l out -d 'A directory to make, for the evidence [default: aegisbpf-canary-TIME]' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand canary" -l max-ringbuf-drops -d 'Events that may be lost' -r
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand canary" -l max-event-drop-ratio-pct -d 'The same in percent of all' -r
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand canary" -l min-total-decisions -d 'Decisions that there have to be: a canary that met none has shown nothing' -r
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand canary" -l max-rss-growth-kb -d 'KiB by which the agent\'s resident memory may grow' -r
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand canary" -l enforce-signal -d 'Which signal a denied process gets. None is sent whatever this says: a denied operation answers EPERM. `kill` is refused without --allow-sigkill' -r -f -a "none\t'None: EPERM is the verdict'
term\t'Refused'
int\t'Refused'
kill\t'Refused'"
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand canary" -l config-dir -d 'Policy, keys and the break-glass file' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand canary" -l state-dir -d 'What survives a reboot' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand canary" -l run-dir -d 'Agent state and canaries' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand canary" -l bpffs -d 'A mounted BPF file system; pins go to aegisbpf/ below it' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand canary" -l attach -d 'Watch the agent that runs instead of starting one'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand canary" -l allow-sigkill -d 'Accept `kill`'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand canary" -l allow-unsigned-policy -d 'Enforce a policy that nobody signed'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand canary" -l allow-missing -d 'Accept paths and cgroups that do not exist; a path is bound by its name, a cgroup once the policy is reloaded'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand canary" -l allow-critical -d 'Accept rules on init, the dynamic loader and the agent, without which the host cannot be repaired'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand canary" -s q -l quiet -d 'Leave out the line for each sample'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand canary" -l json -d 'Print the verdict as JSON'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand canary" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand canary" -s V -l version -d 'Print version'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand doctor" -l require -d 'What this host must be able to do for exit 0' -r -f -a "audit\t'Report what would be denied, let it pass'
enforce\t'Deny'"
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand doctor" -l only -d 'Show these checks and groups only; the verdict rests on the trials all the same' -r
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand doctor" -l skip -d 'Leave these checks and groups out' -r
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand doctor" -l report -d 'Write the compatibility report of this host as well, as JSON; it names neither the host nor its policies' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand doctor" -l render -d 'Make one page of these reports instead of looking at this host' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand doctor" -l html -d 'Write the page as HTML' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand doctor" -l markdown -d 'Write it as a table in Markdown [default: to standard output, when --html is not given]' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand doctor" -l config-dir -d 'Policy, keys and the break-glass file' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand doctor" -l state-dir -d 'What survives a reboot' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand doctor" -l run-dir -d 'Agent state and canaries' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand doctor" -l bpffs -d 'A mounted BPF file system; pins go to aegisbpf/ below it' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand doctor" -l json -d 'Print JSON'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand doctor" -l strict -d 'Exit 1 as well when a check did not come out ok; one that is unknown did not'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand doctor" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand doctor" -s V -l version -d 'Print version'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand explain" -l seq -d 'The event with this number; of several the last [default: the last decision]' -r
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand explain" -l policy -d 'The policy that decided [default: the one of its SHA-256, of those that were applied here]' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand explain" -l config-dir -d 'Policy, keys and the break-glass file' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand explain" -l state-dir -d 'What survives a reboot' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand explain" -l run-dir -d 'Agent state and canaries' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand explain" -l bpffs -d 'A mounted BPF file system; pins go to aegisbpf/ below it' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand explain" -l json -d 'Print JSON'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand explain" -s h -l help -d 'Print help'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand explain" -s V -l version -d 'Print version'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand probe" -l config-dir -d 'Policy, keys and the break-glass file' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand probe" -l state-dir -d 'What survives a reboot' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand probe" -l run-dir -d 'Agent state and canaries' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand probe" -l bpffs -d 'A mounted BPF file system; pins go to aegisbpf/ below it' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand probe" -l programs -d 'Load every program of every tier as well, and print what the verifier spends on each; attaches nothing'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand probe" -l json -d 'Print JSON'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand probe" -s h -l help -d 'Print help'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand probe" -s V -l version -d 'Print version'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand contract" -l tier -d 'One tier only' -r
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand contract" -l claim -d 'What is said of one claim, and no failure' -r
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand contract" -l failure -d 'What is said of one failure, and no claim' -r
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand contract" -l config-dir -d 'Policy, keys and the break-glass file' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand contract" -l state-dir -d 'What survives a reboot' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand contract" -l run-dir -d 'Agent state and canaries' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand contract" -l bpffs -d 'A mounted BPF file system; pins go to aegisbpf/ below it' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand contract" -l json -d 'Print JSON'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand contract" -s h -l help -d 'Print help'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand contract" -s V -l version -d 'Print version'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand status" -l watch -d 'Show it again and again, at this interval [default: 2s]; Ctrl-C ends it' -r
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand status" -l config-dir -d 'Policy, keys and the break-glass file' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand status" -l state-dir -d 'What survives a reboot' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand status" -l run-dir -d 'Agent state and canaries' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand status" -l bpffs -d 'A mounted BPF file system; pins go to aegisbpf/ below it' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand status" -s v -l verbose -d 'Show every hook'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand status" -l json -d 'Print JSON'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand status" -s h -l help -d 'Print help'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand status" -s V -l version -d 'Print version'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand health" -l require -d 'Exit 1 unless this is what runs' -r -f -a "audit\t'Report what would be denied, let it pass'
enforce\t'Deny'"
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand health" -l config-dir -d 'Policy, keys and the break-glass file' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand health" -l state-dir -d 'What survives a reboot' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand health" -l run-dir -d 'Agent state and canaries' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand health" -l bpffs -d 'A mounted BPF file system; pins go to aegisbpf/ below it' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand health" -l json -d 'Print JSON'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand health" -l strict -d 'Exit 1 when degraded'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand health" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand health" -s V -l version -d 'Print version'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand stats" -l by -d 'Which table [default: by hook; with --json all]' -r -f -a "hook\t'The hook that decided'
cgroup\t'The cgroup of the process'
rule\t'The rule that matched'
inode\t'The file'
path\t'The path'"
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand stats" -l top -d 'Show the first N rows; all others are counted together [default: 20; with --json all]' -r
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand stats" -l config-dir -d 'Policy, keys and the break-glass file' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand stats" -l state-dir -d 'What survives a reboot' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand stats" -l run-dir -d 'Agent state and canaries' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand stats" -l bpffs -d 'A mounted BPF file system; pins go to aegisbpf/ below it' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand stats" -l json -d 'Print JSON'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand stats" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand stats" -s V -l version -d 'Print version'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand metrics" -l textfile -d 'Write them to this file, which is there as a whole at any time: for the textfile collector of `node_exporter`' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand metrics" -l socket -d 'Answer `GET /metrics` on this Unix socket (mode 0660) until told to stop, reading anew for each request' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand metrics" -l config-dir -d 'Policy, keys and the break-glass file' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand metrics" -l state-dir -d 'What survives a reboot' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand metrics" -l run-dir -d 'Agent state and canaries' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand metrics" -l bpffs -d 'A mounted BPF file system; pins go to aegisbpf/ below it' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand metrics" -s h -l help -d 'Print help'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand metrics" -s V -l version -d 'Print version'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and not __fish_seen_subcommand_from lint apply confirm rollback reload show export diff history sign verify simulate suggest help" -l config-dir -d 'Policy, keys and the break-glass file' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and not __fish_seen_subcommand_from lint apply confirm rollback reload show export diff history sign verify simulate suggest help" -l state-dir -d 'What survives a reboot' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and not __fish_seen_subcommand_from lint apply confirm rollback reload show export diff history sign verify simulate suggest help" -l run-dir -d 'Agent state and canaries' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and not __fish_seen_subcommand_from lint apply confirm rollback reload show export diff history sign verify simulate suggest help" -l bpffs -d 'A mounted BPF file system; pins go to aegisbpf/ below it' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and not __fish_seen_subcommand_from lint apply confirm rollback reload show export diff history sign verify simulate suggest help" -s h -l help -d 'Print help'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and not __fish_seen_subcommand_from lint apply confirm rollback reload show export diff history sign verify simulate suggest help" -s V -l version -d 'Print version'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and not __fish_seen_subcommand_from lint apply confirm rollback reload show export diff history sign verify simulate suggest help" -f -a "lint" -d 'Explain every fault and doubt, with place and fix; exit 65 when the policy would be refused'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and not __fish_seen_subcommand_from lint apply confirm rollback reload show export diff history sign verify simulate suggest help" -f -a "apply" -d 'Make a policy the one in force: at once, as a whole, and for the next boot'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and not __fish_seen_subcommand_from lint apply confirm rollback reload show export diff history sign verify simulate suggest help" -f -a "confirm" -d 'Keep a policy that was applied with --confirm-within'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and not __fish_seen_subcommand_from lint apply confirm rollback reload show export diff history sign verify simulate suggest help" -f -a "rollback" -d 'Go back to the policy before, or to a generation'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and not __fish_seen_subcommand_from lint apply confirm rollback reload show export diff history sign verify simulate suggest help" -f -a "reload" -d 'Look anew at the files and cgroups that the policy in force names'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and not __fish_seen_subcommand_from lint apply confirm rollback reload show export diff history sign verify simulate suggest help" -f -a "show" -d 'Show what a generation is and what it says [default: the one in force]'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and not __fish_seen_subcommand_from lint apply confirm rollback reload show export diff history sign verify simulate suggest help" -f -a "export" -d 'Write the text of a generation, byte by byte as it was applied'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and not __fish_seen_subcommand_from lint apply confirm rollback reload show export diff history sign verify simulate suggest help" -f -a "diff" -d 'Show what differs between two policies; exit 1 when something does'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and not __fish_seen_subcommand_from lint apply confirm rollback reload show export diff history sign verify simulate suggest help" -f -a "history" -d 'List the generations'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and not __fish_seen_subcommand_from lint apply confirm rollback reload show export diff history sign verify simulate suggest help" -f -a "sign" -d 'Sign a policy with a key of `keys generate` or of ssh-keygen'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and not __fish_seen_subcommand_from lint apply confirm rollback reload show export diff history sign verify simulate suggest help" -f -a "verify" -d 'Say who signed a policy; exit 78 when it is nobody who is trusted'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and not __fish_seen_subcommand_from lint apply confirm rollback reload show export diff history sign verify simulate suggest help" -f -a "simulate" -d 'Ask the matcher in the kernel what it would decide, without any effect; exit 1 when it would deny'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and not __fish_seen_subcommand_from lint apply confirm rollback reload show export diff history sign verify simulate suggest help" -f -a "suggest" -d 'From what was denied to the fewest lines that would allow it, and nothing else'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and not __fish_seen_subcommand_from lint apply confirm rollback reload show export diff history sign verify simulate suggest help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from lint" -l config-dir -d 'Policy, keys and the break-glass file' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from lint" -l state-dir -d 'What survives a reboot' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from lint" -l run-dir -d 'Agent state and canaries' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from lint" -l bpffs -d 'A mounted BPF file system; pins go to aegisbpf/ below it' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from lint" -l fix -d 'Write the normalized policy in place of the file (to standard output for `-`)'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from lint" -l json -d 'Print JSON'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from lint" -s h -l help -d 'Print help'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from lint" -s V -l version -d 'Print version'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from apply" -l sha256 -d 'SHA-256 that the policy must have' -r
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from apply" -l sha256-file -d 'A file with that SHA-256, as sha256sum writes it' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from apply" -l confirm-within -d 'Go back by itself unless `policy confirm` comes within this time, whether or not an agent is alive' -r
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from apply" -l keep -d 'How many generations to keep on disk' -r
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from apply" -l config-dir -d 'Policy, keys and the break-glass file' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from apply" -l state-dir -d 'What survives a reboot' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from apply" -l run-dir -d 'Agent state and canaries' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from apply" -l bpffs -d 'A mounted BPF file system; pins go to aegisbpf/ below it' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from apply" -l allow-unsigned-policy -d 'Apply a policy that nobody signed where it will be enforced; reported in every status'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from apply" -l allow-missing -d 'Accept paths and cgroups that do not exist; a path is bound by its name, a cgroup once the policy is reloaded'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from apply" -l allow-critical -d 'Accept rules on init, the dynamic loader and the agent, without which the host cannot be repaired'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from apply" -l json -d 'Print JSON'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from apply" -s h -l help -d 'Print help'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from apply" -s V -l version -d 'Print version'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from confirm" -l config-dir -d 'Policy, keys and the break-glass file' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from confirm" -l state-dir -d 'What survives a reboot' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from confirm" -l run-dir -d 'Agent state and canaries' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from confirm" -l bpffs -d 'A mounted BPF file system; pins go to aegisbpf/ below it' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from confirm" -l json -d 'Print JSON'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from confirm" -s h -l help -d 'Print help'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from confirm" -s V -l version -d 'Print version'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from rollback" -l to -d 'The generation; `policy history` lists them [default: the one that was in force before]' -r
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from rollback" -l config-dir -d 'Policy, keys and the break-glass file' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from rollback" -l state-dir -d 'What survives a reboot' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from rollback" -l run-dir -d 'Agent state and canaries' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from rollback" -l bpffs -d 'A mounted BPF file system; pins go to aegisbpf/ below it' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from rollback" -l json -d 'Print JSON'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from rollback" -s h -l help -d 'Print help'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from rollback" -s V -l version -d 'Print version'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from reload" -l config-dir -d 'Policy, keys and the break-glass file' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from reload" -l state-dir -d 'What survives a reboot' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from reload" -l run-dir -d 'Agent state and canaries' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from reload" -l bpffs -d 'A mounted BPF file system; pins go to aegisbpf/ below it' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from reload" -l json -d 'Print JSON'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from reload" -s h -l help -d 'Print help'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from reload" -s V -l version -d 'Print version'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from show" -l config-dir -d 'Policy, keys and the break-glass file' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from show" -l state-dir -d 'What survives a reboot' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from show" -l run-dir -d 'Agent state and canaries' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from show" -l bpffs -d 'A mounted BPF file system; pins go to aegisbpf/ below it' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from show" -l json -d 'Print JSON'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from show" -s V -l version -d 'Print version'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from export" -s o -l output -d 'Where to; an existing file is not overwritten [default: standard output]' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from export" -l config-dir -d 'Policy, keys and the break-glass file' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from export" -l state-dir -d 'What survives a reboot' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from export" -l run-dir -d 'Agent state and canaries' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from export" -l bpffs -d 'A mounted BPF file system; pins go to aegisbpf/ below it' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from export" -s h -l help -d 'Print help'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from export" -s V -l version -d 'Print version'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from diff" -l config-dir -d 'Policy, keys and the break-glass file' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from diff" -l state-dir -d 'What survives a reboot' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from diff" -l run-dir -d 'Agent state and canaries' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from diff" -l bpffs -d 'A mounted BPF file system; pins go to aegisbpf/ below it' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from diff" -l json -d 'Print JSON'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from diff" -s h -l help -d 'Print help'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from diff" -s V -l version -d 'Print version'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from history" -l config-dir -d 'Policy, keys and the break-glass file' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from history" -l state-dir -d 'What survives a reboot' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from history" -l run-dir -d 'Agent state and canaries' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from history" -l bpffs -d 'A mounted BPF file system; pins go to aegisbpf/ below it' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from history" -l json -d 'Print JSON'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from history" -s h -l help -d 'Print help'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from history" -s V -l version -d 'Print version'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from sign" -l key -d 'The secret key: one of OpenSSH, ssh-ed25519, without a passphrase, readable by its owner alone' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from sign" -l signature -d 'Where the signature goes [default: FILE.sig; standard output for `-`]' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from sign" -l config-dir -d 'Policy, keys and the break-glass file' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from sign" -l state-dir -d 'What survives a reboot' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from sign" -l run-dir -d 'Agent state and canaries' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from sign" -l bpffs -d 'A mounted BPF file system; pins go to aegisbpf/ below it' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from sign" -l force -d 'Replace a signature that is there'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from sign" -s h -l help -d 'Print help'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from sign" -s V -l version -d 'Print version'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from verify" -l signature -d 'Its signature [default: FILE.sig]' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from verify" -l keys -d 'The directory with `allowed_signers` and `revoked_keys` [default: keys in the configuration directory]' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from verify" -l config-dir -d 'Policy, keys and the break-glass file' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from verify" -l state-dir -d 'What survives a reboot' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from verify" -l run-dir -d 'Agent state and canaries' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from verify" -l bpffs -d 'A mounted BPF file system; pins go to aegisbpf/ below it' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from verify" -l json -d 'Print JSON'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from verify" -s h -l help -d 'Print help'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from verify" -s V -l version -d 'Print version'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from simulate" -l path -d 'The file' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from simulate" -l op -d 'The operation: read, write or exec' -r
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from simulate" -l cgroup -d 'Ask for a process in this cgroup [default: that of this process]' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from simulate" -l events -d 'Ask about every decision in this file of events (JSON lines); `-` is standard input' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from simulate" -l policy -d 'Ask about this policy instead of the one in force' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from simulate" -l config-dir -d 'Policy, keys and the break-glass file' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from simulate" -l state-dir -d 'What survives a reboot' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from simulate" -l run-dir -d 'Agent state and canaries' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from simulate" -l bpffs -d 'A mounted BPF file system; pins go to aegisbpf/ below it' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from simulate" -l allow-missing -d 'Accept paths and cgroups that do not exist; a path is bound by its name, a cgroup once the policy is reloaded'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from simulate" -l allow-critical -d 'Accept rules on init, the dynamic loader and the agent, without which the host cannot be repaired'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from simulate" -l json -d 'Print JSON'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from simulate" -s h -l help -d 'Print help'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from simulate" -s V -l version -d 'Print version'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from suggest" -l events -d 'A file of events (JSON lines); `-` is standard input' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from suggest" -l policy -d 'The policy to change [default: the one that was applied last]' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from suggest" -l config-dir -d 'Policy, keys and the break-glass file' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from suggest" -l state-dir -d 'What survives a reboot' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from suggest" -l run-dir -d 'Agent state and canaries' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from suggest" -l bpffs -d 'A mounted BPF file system; pins go to aegisbpf/ below it' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from suggest" -l json -d 'Print JSON'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from suggest" -s h -l help -d 'Print help'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from suggest" -s V -l version -d 'Print version'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from help" -f -a "lint" -d 'Explain every fault and doubt, with place and fix; exit 65 when the policy would be refused'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from help" -f -a "apply" -d 'Make a policy the one in force: at once, as a whole, and for the next boot'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from help" -f -a "confirm" -d 'Keep a policy that was applied with --confirm-within'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from help" -f -a "rollback" -d 'Go back to the policy before, or to a generation'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from help" -f -a "reload" -d 'Look anew at the files and cgroups that the policy in force names'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from help" -f -a "show" -d 'Show what a generation is and what it says [default: the one in force]'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from help" -f -a "export" -d 'Write the text of a generation, byte by byte as it was applied'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from help" -f -a "diff" -d 'Show what differs between two policies; exit 1 when something does'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from help" -f -a "history" -d 'List the generations'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from help" -f -a "sign" -d 'Sign a policy with a key of `keys generate` or of ssh-keygen'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from help" -f -a "verify" -d 'Say who signed a policy; exit 78 when it is nobody who is trusted'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from help" -f -a "simulate" -d 'Ask the matcher in the kernel what it would decide, without any effect; exit 1 when it would deny'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from help" -f -a "suggest" -d 'From what was denied to the fewest lines that would allow it, and nothing else'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand policy; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand keys; and not __fish_seen_subcommand_from generate add revoke check list help" -l config-dir -d 'Policy, keys and the break-glass file' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand keys; and not __fish_seen_subcommand_from generate add revoke check list help" -l state-dir -d 'What survives a reboot' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand keys; and not __fish_seen_subcommand_from generate add revoke check list help" -l run-dir -d 'Agent state and canaries' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand keys; and not __fish_seen_subcommand_from generate add revoke check list help" -l bpffs -d 'A mounted BPF file system; pins go to aegisbpf/ below it' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand keys; and not __fish_seen_subcommand_from generate add revoke check list help" -s h -l help -d 'Print help'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand keys; and not __fish_seen_subcommand_from generate add revoke check list help" -s V -l version -d 'Print version'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand keys; and not __fish_seen_subcommand_from generate add revoke check list help" -f -a "generate" -d 'Make a key that signs policies, and its public half beside it'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand keys; and not __fish_seen_subcommand_from generate add revoke check list help" -f -a "add" -d 'Trust a key: add its line to `allowed_signers`'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand keys; and not __fish_seen_subcommand_from generate add revoke check list help" -f -a "revoke" -d 'Take nothing any more that a key signed: add it to `revoked_keys`'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand keys; and not __fish_seen_subcommand_from generate add revoke check list help" -f -a "check" -d 'Look for faults in files, directories and keys; exit 1 when a key needs somebody, 78 when nothing can be trusted'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand keys; and not __fish_seen_subcommand_from generate add revoke check list help" -f -a "list" -d 'List the keys of `allowed_signers` with their fingerprints, and which of them are revoked'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand keys; and not __fish_seen_subcommand_from generate add revoke check list help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand keys; and __fish_seen_subcommand_from generate" -s o -l output -d 'Where the key goes; the public half goes to FILE.pub, and no file is overwritten' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand keys; and __fish_seen_subcommand_from generate" -l comment -d 'Whose it is, in one word [default: the name of this host]' -r
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand keys; and __fish_seen_subcommand_from generate" -l config-dir -d 'Policy, keys and the break-glass file' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand keys; and __fish_seen_subcommand_from generate" -l state-dir -d 'What survives a reboot' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand keys; and __fish_seen_subcommand_from generate" -l run-dir -d 'Agent state and canaries' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand keys; and __fish_seen_subcommand_from generate" -l bpffs -d 'A mounted BPF file system; pins go to aegisbpf/ below it' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand keys; and __fish_seen_subcommand_from generate" -l json -d 'Print JSON'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand keys; and __fish_seen_subcommand_from generate" -s h -l help -d 'Print help'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand keys; and __fish_seen_subcommand_from generate" -s V -l version -d 'Print version'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand keys; and __fish_seen_subcommand_from add" -l principal -d 'Who signs with it; every status names them' -r
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand keys; and __fish_seen_subcommand_from add" -l valid-after -d 'From when it holds: 2026-12-31, 2026-12-31T23:59:59Z, or as OpenSSH writes it' -r
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand keys; and __fish_seen_subcommand_from add" -l valid-before -d 'Until when it holds' -r
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand keys; and __fish_seen_subcommand_from add" -l config-dir -d 'Policy, keys and the break-glass file' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand keys; and __fish_seen_subcommand_from add" -l state-dir -d 'What survives a reboot' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand keys; and __fish_seen_subcommand_from add" -l run-dir -d 'Agent state and canaries' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand keys; and __fish_seen_subcommand_from add" -l bpffs -d 'A mounted BPF file system; pins go to aegisbpf/ below it' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand keys; and __fish_seen_subcommand_from add" -l json -d 'Print JSON'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand keys; and __fish_seen_subcommand_from add" -s h -l help -d 'Print help'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand keys; and __fish_seen_subcommand_from add" -s V -l version -d 'Print version'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand keys; and __fish_seen_subcommand_from revoke" -l config-dir -d 'Policy, keys and the break-glass file' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand keys; and __fish_seen_subcommand_from revoke" -l state-dir -d 'What survives a reboot' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand keys; and __fish_seen_subcommand_from revoke" -l run-dir -d 'Agent state and canaries' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand keys; and __fish_seen_subcommand_from revoke" -l bpffs -d 'A mounted BPF file system; pins go to aegisbpf/ below it' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand keys; and __fish_seen_subcommand_from revoke" -l json -d 'Print JSON'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand keys; and __fish_seen_subcommand_from revoke" -s h -l help -d 'Print help'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand keys; and __fish_seen_subcommand_from revoke" -s V -l version -d 'Print version'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand keys; and __fish_seen_subcommand_from check" -l config-dir -d 'Policy, keys and the break-glass file' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand keys; and __fish_seen_subcommand_from check" -l state-dir -d 'What survives a reboot' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand keys; and __fish_seen_subcommand_from check" -l run-dir -d 'Agent state and canaries' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand keys; and __fish_seen_subcommand_from check" -l bpffs -d 'A mounted BPF file system; pins go to aegisbpf/ below it' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand keys; and __fish_seen_subcommand_from check" -l json -d 'Print JSON'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand keys; and __fish_seen_subcommand_from check" -s h -l help -d 'Print help'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand keys; and __fish_seen_subcommand_from check" -s V -l version -d 'Print version'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand keys; and __fish_seen_subcommand_from list" -l config-dir -d 'Policy, keys and the break-glass file' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand keys; and __fish_seen_subcommand_from list" -l state-dir -d 'What survives a reboot' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand keys; and __fish_seen_subcommand_from list" -l run-dir -d 'Agent state and canaries' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand keys; and __fish_seen_subcommand_from list" -l bpffs -d 'A mounted BPF file system; pins go to aegisbpf/ below it' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand keys; and __fish_seen_subcommand_from list" -l json -d 'Print JSON'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand keys; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand keys; and __fish_seen_subcommand_from list" -s V -l version -d 'Print version'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand keys; and __fish_seen_subcommand_from help" -f -a "generate" -d 'Make a key that signs policies, and its public half beside it'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand keys; and __fish_seen_subcommand_from help" -f -a "add" -d 'Trust a key: add its line to `allowed_signers`'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand keys; and __fish_seen_subcommand_from help" -f -a "revoke" -d 'Take nothing any more that a key signed: add it to `revoked_keys`'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand keys; and __fish_seen_subcommand_from help" -f -a "check" -d 'Look for faults in files, directories and keys; exit 1 when a key needs somebody, 78 when nothing can be trusted'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand keys; and __fish_seen_subcommand_from help" -f -a "list" -d 'List the keys of `allowed_signers` with their fingerprints, and which of them are revoked'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand keys; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand audit; and not __fish_seen_subcommand_from verify show help" -l config-dir -d 'Policy, keys and the break-glass file' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand audit; and not __fish_seen_subcommand_from verify show help" -l state-dir -d 'What survives a reboot' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand audit; and not __fish_seen_subcommand_from verify show help" -l run-dir -d 'Agent state and canaries' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand audit; and not __fish_seen_subcommand_from verify show help" -l bpffs -d 'A mounted BPF file system; pins go to aegisbpf/ below it' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand audit; and not __fish_seen_subcommand_from verify show help" -s h -l help -d 'Print help'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand audit; and not __fish_seen_subcommand_from verify show help" -s V -l version -d 'Print version'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand audit; and not __fish_seen_subcommand_from verify show help" -f -a "verify" -d 'Check that no entry was changed, removed, put in or moved; exit 78 with the place when one was'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand audit; and not __fish_seen_subcommand_from verify show help" -f -a "show" -d 'List the entries, the latest last'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand audit; and not __fish_seen_subcommand_from verify show help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand audit; and __fish_seen_subcommand_from verify" -l config-dir -d 'Policy, keys and the break-glass file' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand audit; and __fish_seen_subcommand_from verify" -l state-dir -d 'What survives a reboot' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand audit; and __fish_seen_subcommand_from verify" -l run-dir -d 'Agent state and canaries' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand audit; and __fish_seen_subcommand_from verify" -l bpffs -d 'A mounted BPF file system; pins go to aegisbpf/ below it' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand audit; and __fish_seen_subcommand_from verify" -l json -d 'Print JSON'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand audit; and __fish_seen_subcommand_from verify" -s h -l help -d 'Print help'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand audit; and __fish_seen_subcommand_from verify" -s V -l version -d 'Print version'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand audit; and __fish_seen_subcommand_from show" -s n -l lines -d 'How many, the latest' -r
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand audit; and __fish_seen_subcommand_from show" -l config-dir -d 'Policy, keys and the break-glass file' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand audit; and __fish_seen_subcommand_from show" -l state-dir -d 'What survives a reboot' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand audit; and __fish_seen_subcommand_from show" -l run-dir -d 'Agent state and canaries' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand audit; and __fish_seen_subcommand_from show" -l bpffs -d 'A mounted BPF file system; pins go to aegisbpf/ below it' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand audit; and __fish_seen_subcommand_from show" -l json -d 'Print JSON, an entry a line'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand audit; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand audit; and __fish_seen_subcommand_from show" -s V -l version -d 'Print version'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand audit; and __fish_seen_subcommand_from help" -f -a "verify" -d 'Check that no entry was changed, removed, put in or moved; exit 78 with the place when one was'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand audit; and __fish_seen_subcommand_from help" -f -a "show" -d 'List the entries, the latest last'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand audit; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand event; and not __fish_seen_subcommand_from validate help" -l config-dir -d 'Policy, keys and the break-glass file' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand event; and not __fish_seen_subcommand_from validate help" -l state-dir -d 'What survives a reboot' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand event; and not __fish_seen_subcommand_from validate help" -l run-dir -d 'Agent state and canaries' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand event; and not __fish_seen_subcommand_from validate help" -l bpffs -d 'A mounted BPF file system; pins go to aegisbpf/ below it' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand event; and not __fish_seen_subcommand_from validate help" -s h -l help -d 'Print help'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand event; and not __fish_seen_subcommand_from validate help" -s V -l version -d 'Print version'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand event; and not __fish_seen_subcommand_from validate help" -f -a "validate" -d 'Check that each line of a file is an event as this version writes them; exit 65 when one is not'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand event; and not __fish_seen_subcommand_from validate help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand event; and __fish_seen_subcommand_from validate" -l config-dir -d 'Policy, keys and the break-glass file' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand event; and __fish_seen_subcommand_from validate" -l state-dir -d 'What survives a reboot' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand event; and __fish_seen_subcommand_from validate" -l run-dir -d 'Agent state and canaries' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand event; and __fish_seen_subcommand_from validate" -l bpffs -d 'A mounted BPF file system; pins go to aegisbpf/ below it' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand event; and __fish_seen_subcommand_from validate" -l json -d 'Print JSON'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand event; and __fish_seen_subcommand_from validate" -s h -l help -d 'Print help'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand event; and __fish_seen_subcommand_from validate" -s V -l version -d 'Print version'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand event; and __fish_seen_subcommand_from help" -f -a "validate" -d 'Check that each line of a file is an event as this version writes them; exit 65 when one is not'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand event; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand break-glass; and not __fish_seen_subcommand_from on off status help" -l config-dir -d 'Policy, keys and the break-glass file' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand break-glass; and not __fish_seen_subcommand_from on off status help" -l state-dir -d 'What survives a reboot' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand break-glass; and not __fish_seen_subcommand_from on off status help" -l run-dir -d 'Agent state and canaries' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand break-glass; and not __fish_seen_subcommand_from on off status help" -l bpffs -d 'A mounted BPF file system; pins go to aegisbpf/ below it' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand break-glass; and not __fish_seen_subcommand_from on off status help" -s h -l help -d 'Print help'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand break-glass; and not __fish_seen_subcommand_from on off status help" -s V -l version -d 'Print version'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand break-glass; and not __fish_seen_subcommand_from on off status help" -f -a "on" -d 'Deny nothing from now on, with or without an agent, also after a reboot'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand break-glass; and not __fish_seen_subcommand_from on off status help" -f -a "off" -d 'Let denials return'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand break-glass; and not __fish_seen_subcommand_from on off status help" -f -a "status" -d 'Say whether it is on, since when and why; exit 1 when it is'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand break-glass; and not __fish_seen_subcommand_from on off status help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand break-glass; and __fish_seen_subcommand_from on" -l reason -d 'Why; it goes to the audit log' -r
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand break-glass; and __fish_seen_subcommand_from on" -l config-dir -d 'Policy, keys and the break-glass file' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand break-glass; and __fish_seen_subcommand_from on" -l state-dir -d 'What survives a reboot' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand break-glass; and __fish_seen_subcommand_from on" -l run-dir -d 'Agent state and canaries' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand break-glass; and __fish_seen_subcommand_from on" -l bpffs -d 'A mounted BPF file system; pins go to aegisbpf/ below it' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand break-glass; and __fish_seen_subcommand_from on" -l json -d 'Print JSON'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand break-glass; and __fish_seen_subcommand_from on" -s h -l help -d 'Print help'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand break-glass; and __fish_seen_subcommand_from on" -s V -l version -d 'Print version'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand break-glass; and __fish_seen_subcommand_from off" -l reason -d 'Why; it goes to the audit log' -r
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand break-glass; and __fish_seen_subcommand_from off" -l config-dir -d 'Policy, keys and the break-glass file' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand break-glass; and __fish_seen_subcommand_from off" -l state-dir -d 'What survives a reboot' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand break-glass; and __fish_seen_subcommand_from off" -l run-dir -d 'Agent state and canaries' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand break-glass; and __fish_seen_subcommand_from off" -l bpffs -d 'A mounted BPF file system; pins go to aegisbpf/ below it' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand break-glass; and __fish_seen_subcommand_from off" -l json -d 'Print JSON'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand break-glass; and __fish_seen_subcommand_from off" -s h -l help -d 'Print help'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand break-glass; and __fish_seen_subcommand_from off" -s V -l version -d 'Print version'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand break-glass; and __fish_seen_subcommand_from status" -l config-dir -d 'Policy, keys and the break-glass file' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand break-glass; and __fish_seen_subcommand_from status" -l state-dir -d 'What survives a reboot' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand break-glass; and __fish_seen_subcommand_from status" -l run-dir -d 'Agent state and canaries' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand break-glass; and __fish_seen_subcommand_from status" -l bpffs -d 'A mounted BPF file system; pins go to aegisbpf/ below it' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand break-glass; and __fish_seen_subcommand_from status" -l json -d 'Print JSON'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand break-glass; and __fish_seen_subcommand_from status" -s h -l help -d 'Print help'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand break-glass; and __fish_seen_subcommand_from status" -s V -l version -d 'Print version'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand break-glass; and __fish_seen_subcommand_from help" -f -a "on" -d 'Deny nothing from now on, with or without an agent, also after a reboot'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand break-glass; and __fish_seen_subcommand_from help" -f -a "off" -d 'Let denials return'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand break-glass; and __fish_seen_subcommand_from help" -f -a "status" -d 'Say whether it is on, since when and why; exit 1 when it is'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand break-glass; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand guard; and not __fish_seen_subcommand_from status admit help" -l config-dir -d 'Policy, keys and the break-glass file' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand guard; and not __fish_seen_subcommand_from status admit help" -l state-dir -d 'What survives a reboot' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand guard; and not __fish_seen_subcommand_from status admit help" -l run-dir -d 'Agent state and canaries' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand guard; and not __fish_seen_subcommand_from status admit help" -l bpffs -d 'A mounted BPF file system; pins go to aegisbpf/ below it' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand guard; and not __fish_seen_subcommand_from status admit help" -s h -l help -d 'Print help'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand guard; and not __fish_seen_subcommand_from status admit help" -s V -l version -d 'Print version'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand guard; and not __fish_seen_subcommand_from status admit help" -f -a "status" -d 'Say whether it is armed, and for which binaries; exit 1 when it is not'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand guard; and not __fish_seen_subcommand_from status admit help" -f -a "admit" -d 'Let another binary count as the agent, so that an upgrade can take over'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand guard; and not __fish_seen_subcommand_from status admit help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand guard; and __fish_seen_subcommand_from status" -l config-dir -d 'Policy, keys and the break-glass file' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand guard; and __fish_seen_subcommand_from status" -l state-dir -d 'What survives a reboot' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand guard; and __fish_seen_subcommand_from status" -l run-dir -d 'Agent state and canaries' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand guard; and __fish_seen_subcommand_from status" -l bpffs -d 'A mounted BPF file system; pins go to aegisbpf/ below it' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand guard; and __fish_seen_subcommand_from status" -l json -d 'Print JSON'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand guard; and __fish_seen_subcommand_from status" -s h -l help -d 'Print help'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand guard; and __fish_seen_subcommand_from status" -s V -l version -d 'Print version'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand guard; and __fish_seen_subcommand_from admit" -l config-dir -d 'Policy, keys and the break-glass file' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand guard; and __fish_seen_subcommand_from admit" -l state-dir -d 'What survives a reboot' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand guard; and __fish_seen_subcommand_from admit" -l run-dir -d 'Agent state and canaries' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand guard; and __fish_seen_subcommand_from admit" -l bpffs -d 'A mounted BPF file system; pins go to aegisbpf/ below it' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand guard; and __fish_seen_subcommand_from admit" -l json -d 'Print JSON'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand guard; and __fish_seen_subcommand_from admit" -s h -l help -d 'Print help'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand guard; and __fish_seen_subcommand_from admit" -s V -l version -d 'Print version'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand guard; and __fish_seen_subcommand_from help" -f -a "status" -d 'Say whether it is armed, and for which binaries; exit 1 when it is not'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand guard; and __fish_seen_subcommand_from help" -f -a "admit" -d 'Let another binary count as the agent, so that an upgrade can take over'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand guard; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand detach" -l config-dir -d 'Policy, keys and the break-glass file' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand detach" -l state-dir -d 'What survives a reboot' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand detach" -l run-dir -d 'Agent state and canaries' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand detach" -l bpffs -d 'A mounted BPF file system; pins go to aegisbpf/ below it' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand detach" -l json -d 'Print JSON'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand detach" -s h -l help -d 'Print help'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand detach" -s V -l version -d 'Print version'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand reset" -l config-dir -d 'Policy, keys and the break-glass file' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand reset" -l state-dir -d 'What survives a reboot' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand reset" -l run-dir -d 'Agent state and canaries' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand reset" -l bpffs -d 'A mounted BPF file system; pins go to aegisbpf/ below it' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand reset" -l clock -d 'Forget the latest seen time alone: the clock of now is right, and was wrong before'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand reset" -l yes -d 'Do it'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand reset" -l json -d 'Print JSON'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand reset" -s h -l help -d 'Print help'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand reset" -s V -l version -d 'Print version'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand install" -l root -d 'Into this directory as if it were the root; no link leads out of it, and nothing is run' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand install" -l mode -d 'What the service is to do from its next start on [default: audit, or what an install before said]' -r -f -a "audit\t'Report what would be denied, let it pass'
enforce\t'Deny'"
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand install" -l config-dir -d 'Policy, keys and the break-glass file' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand install" -l state-dir -d 'What survives a reboot' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand install" -l run-dir -d 'Agent state and canaries' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand install" -l bpffs -d 'A mounted BPF file system; pins go to aegisbpf/ below it' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand install" -l dry-run -d 'Say what would be done, and do nothing'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand install" -l json -d 'Print JSON'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand install" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand install" -s V -l version -d 'Print version'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand uninstall" -l root -d 'From this directory as if it were the root; nothing is run' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand uninstall" -l config-dir -d 'Policy, keys and the break-glass file' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand uninstall" -l state-dir -d 'What survives a reboot' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand uninstall" -l run-dir -d 'Agent state and canaries' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand uninstall" -l bpffs -d 'A mounted BPF file system; pins go to aegisbpf/ below it' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand uninstall" -l purge -d 'Configuration, policies, keys, generations, the audit log and events as well'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand uninstall" -l detach -d 'End enforcement first; without it nothing is removed from a host that is enforcing'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand uninstall" -l dry-run -d 'Say what would be done, and do nothing'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand uninstall" -l json -d 'Print JSON'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand uninstall" -s h -l help -d 'Print help'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand uninstall" -s V -l version -d 'Print version'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand completions" -l config-dir -d 'Policy, keys and the break-glass file' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand completions" -l state-dir -d 'What survives a reboot' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand completions" -l run-dir -d 'Agent state and canaries' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand completions" -l bpffs -d 'A mounted BPF file system; pins go to aegisbpf/ below it' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand completions" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand completions" -s V -l version -d 'Print version'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand man" -l config-dir -d 'Policy, keys and the break-glass file' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand man" -l state-dir -d 'What survives a reboot' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand man" -l run-dir -d 'Agent state and canaries' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand man" -l bpffs -d 'A mounted BPF file system; pins go to aegisbpf/ below it' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand man" -l list -d 'List the pages'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand man" -s h -l help -d 'Print help'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand man" -s V -l version -d 'Print version'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand schema" -l config-dir -d 'Policy, keys and the break-glass file' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand schema" -l state-dir -d 'What survives a reboot' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand schema" -l run-dir -d 'Agent state and canaries' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand schema" -l bpffs -d 'A mounted BPF file system; pins go to aegisbpf/ below it' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand schema" -l list -d 'List the names'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand schema" -s h -l help -d 'Print help'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand schema" -s V -l version -d 'Print version'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand version" -l config-dir -d 'Policy, keys and the break-glass file' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand version" -l state-dir -d 'What survives a reboot' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand version" -l run-dir -d 'Agent state and canaries' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand version" -l bpffs -d 'A mounted BPF file system; pins go to aegisbpf/ below it' -r -F
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand version" -l json -d 'Print JSON'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand version" -s h -l help -d 'Print help'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand version" -s V -l version -d 'Print version'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand help; and not __fish_seen_subcommand_from run demo canary doctor explain probe contract status health stats metrics policy keys audit event break-glass guard detach reset install uninstall completions man schema version help" -f -a "run" -d 'Watch or enforce a policy until told to stop'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand help; and not __fish_seen_subcommand_from run demo canary doctor explain probe contract status health stats metrics policy keys audit event break-glass guard detach reset install uninstall completions man schema version help" -f -a "demo" -d 'Show on this host what works: a file before and after, the event, the way back'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand help; and not __fish_seen_subcommand_from run demo canary doctor explain probe contract status health stats metrics policy keys audit event break-glass guard detach reset install uninstall completions man schema version help" -f -a "canary" -d 'Try a policy in stages, audit then enforce, against thresholds; keep the evidence'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand help; and not __fish_seen_subcommand_from run demo canary doctor explain probe contract status health stats metrics policy keys audit event break-glass guard detach reset install uninstall completions man schema version help" -f -a "doctor" -d 'Find out what this host can do, why, and what would mend it'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand help; and not __fish_seen_subcommand_from run demo canary doctor explain probe contract status health stats metrics policy keys audit event break-glass guard detach reset install uninstall completions man schema version help" -f -a "explain" -d 'Say more about something that another command named: a check, a cause, a claim, a failure, a fault of a policy'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand help; and not __fish_seen_subcommand_from run demo canary doctor explain probe contract status health stats metrics policy keys audit event break-glass guard detach reset install uninstall completions man schema version help" -f -a "probe" -d 'Ask the kernel every question by trial and print the answers'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand help; and not __fish_seen_subcommand_from run demo canary doctor explain probe contract status health stats metrics policy keys audit event break-glass guard detach reset install uninstall completions man schema version help" -f -a "contract" -d 'Print what each tier denies, observes and cannot do, and what happens in each failure'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand help; and not __fish_seen_subcommand_from run demo canary doctor explain probe contract status health stats metrics policy keys audit event break-glass guard detach reset install uninstall completions man schema version help" -f -a "status" -d 'Show what is in force, in one screen'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand help; and not __fish_seen_subcommand_from run demo canary doctor explain probe contract status health stats metrics policy keys audit event break-glass guard detach reset install uninstall completions man schema version help" -f -a "health" -d 'Judge what is in force: exit 0 healthy, 1 degraded or unhealthy, 2 misreporting'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand help; and not __fish_seen_subcommand_from run demo canary doctor explain probe contract status health stats metrics policy keys audit event break-glass guard detach reset install uninstall completions man schema version help" -f -a "stats" -d 'Count what was decided: by hook, cgroup, rule, inode or path'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand help; and not __fish_seen_subcommand_from run demo canary doctor explain probe contract status health stats metrics policy keys audit event break-glass guard detach reset install uninstall completions man schema version help" -f -a "metrics" -d 'Print what is in force as metrics for Prometheus, write them to a file, or answer requests for them'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand help; and not __fish_seen_subcommand_from run demo canary doctor explain probe contract status health stats metrics policy keys audit event break-glass guard detach reset install uninstall completions man schema version help" -f -a "policy" -d 'Check, apply, compare and take back policies'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand help; and not __fish_seen_subcommand_from run demo canary doctor explain probe contract status health stats metrics policy keys audit event break-glass guard detach reset install uninstall completions man schema version help" -f -a "keys" -d 'Make keys, and say who is trusted to sign policies'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand help; and not __fish_seen_subcommand_from run demo canary doctor explain probe contract status health stats metrics policy keys audit event break-glass guard detach reset install uninstall completions man schema version help" -f -a "audit" -d 'Show and check the log of what was done to the policy and to enforcement'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand help; and not __fish_seen_subcommand_from run demo canary doctor explain probe contract status health stats metrics policy keys audit event break-glass guard detach reset install uninstall completions man schema version help" -f -a "event" -d 'Check events that were written'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand help; and not __fish_seen_subcommand_from run demo canary doctor explain probe contract status health stats metrics policy keys audit event break-glass guard detach reset install uninstall completions man schema version help" -f -a "break-glass" -d 'Suspend every denial at once, and let them return'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand help; and not __fish_seen_subcommand_from run demo canary doctor explain probe contract status health stats metrics policy keys audit event break-glass guard detach reset install uninstall completions man schema version help" -f -a "guard" -d 'Say whether the self-guard is armed, and let in the next binary'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand help; and not __fish_seen_subcommand_from run demo canary doctor explain probe contract status health stats metrics policy keys audit event break-glass guard detach reset install uninstall completions man schema version help" -f -a "detach" -d 'End enforcement: remove every program, map and link of ours from the kernel'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand help; and not __fish_seen_subcommand_from run demo canary doctor explain probe contract status health stats metrics policy keys audit event break-glass guard detach reset install uninstall completions man schema version help" -f -a "reset" -d 'End enforcement and forget every policy that was applied; the audit log is kept'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand help; and not __fish_seen_subcommand_from run demo canary doctor explain probe contract status health stats metrics policy keys audit event break-glass guard detach reset install uninstall completions man schema version help" -f -a "install" -d 'Put this file and what belongs to it where a system looks for it: the service, manual pages, completions'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand help; and not __fish_seen_subcommand_from run demo canary doctor explain probe contract status health stats metrics policy keys audit event break-glass guard detach reset install uninstall completions man schema version help" -f -a "uninstall" -d 'Remove what `install` put there, and nothing else'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand help; and not __fish_seen_subcommand_from run demo canary doctor explain probe contract status health stats metrics policy keys audit event break-glass guard detach reset install uninstall completions man schema version help" -f -a "completions" -d 'Print what bash, zsh or fish complete'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand help; and not __fish_seen_subcommand_from run demo canary doctor explain probe contract status health stats metrics policy keys audit event break-glass guard detach reset install uninstall completions man schema version help" -f -a "man" -d 'Print a manual page'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand help; and not __fish_seen_subcommand_from run demo canary doctor explain probe contract status health stats metrics policy keys audit event break-glass guard detach reset install uninstall completions man schema version help" -f -a "schema" -d 'Print the JSON Schema of what a command prints'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand help; and not __fish_seen_subcommand_from run demo canary doctor explain probe contract status health stats metrics policy keys audit event break-glass guard detach reset install uninstall completions man schema version help" -f -a "version" -d 'Print version and build'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand help; and not __fish_seen_subcommand_from run demo canary doctor explain probe contract status health stats metrics policy keys audit event break-glass guard detach reset install uninstall completions man schema version help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand help; and __fish_seen_subcommand_from policy" -f -a "lint" -d 'Explain every fault and doubt, with place and fix; exit 65 when the policy would be refused'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand help; and __fish_seen_subcommand_from policy" -f -a "apply" -d 'Make a policy the one in force: at once, as a whole, and for the next boot'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand help; and __fish_seen_subcommand_from policy" -f -a "confirm" -d 'Keep a policy that was applied with --confirm-within'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand help; and __fish_seen_subcommand_from policy" -f -a "rollback" -d 'Go back to the policy before, or to a generation'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand help; and __fish_seen_subcommand_from policy" -f -a "reload" -d 'Look anew at the files and cgroups that the policy in force names'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand help; and __fish_seen_subcommand_from policy" -f -a "show" -d 'Show what a generation is and what it says [default: the one in force]'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand help; and __fish_seen_subcommand_from policy" -f -a "export" -d 'Write the text of a generation, byte by byte as it was applied'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand help; and __fish_seen_subcommand_from policy" -f -a "diff" -d 'Show what differs between two policies; exit 1 when something does'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand help; and __fish_seen_subcommand_from policy" -f -a "history" -d 'List the generations'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand help; and __fish_seen_subcommand_from policy" -f -a "sign" -d 'Sign a policy with a key of `keys generate` or of ssh-keygen'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand help; and __fish_seen_subcommand_from policy" -f -a "verify" -d 'Say who signed a policy; exit 78 when it is nobody who is trusted'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand help; and __fish_seen_subcommand_from policy" -f -a "simulate" -d 'Ask the matcher in the kernel what it would decide, without any effect; exit 1 when it would deny'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand help; and __fish_seen_subcommand_from policy" -f -a "suggest" -d 'From what was denied to the fewest lines that would allow it, and nothing else'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand help; and __fish_seen_subcommand_from keys" -f -a "generate" -d 'Make a key that signs policies, and its public half beside it'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand help; and __fish_seen_subcommand_from keys" -f -a "add" -d 'Trust a key: add its line to `allowed_signers`'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand help; and __fish_seen_subcommand_from keys" -f -a "revoke" -d 'Take nothing any more that a key signed: add it to `revoked_keys`'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand help; and __fish_seen_subcommand_from keys" -f -a "check" -d 'Look for faults in files, directories and keys; exit 1 when a key needs somebody, 78 when nothing can be trusted'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand help; and __fish_seen_subcommand_from keys" -f -a "list" -d 'List the keys of `allowed_signers` with their fingerprints, and which of them are revoked'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand help; and __fish_seen_subcommand_from audit" -f -a "verify" -d 'Check that no entry was changed, removed, put in or moved; exit 78 with the place when one was'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand help; and __fish_seen_subcommand_from audit" -f -a "show" -d 'List the entries, the latest last'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand help; and __fish_seen_subcommand_from event" -f -a "validate" -d 'Check that each line of a file is an event as this version writes them; exit 65 when one is not'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand help; and __fish_seen_subcommand_from break-glass" -f -a "on" -d 'Deny nothing from now on, with or without an agent, also after a reboot'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand help; and __fish_seen_subcommand_from break-glass" -f -a "off" -d 'Let denials return'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand help; and __fish_seen_subcommand_from break-glass" -f -a "status" -d 'Say whether it is on, since when and why; exit 1 when it is'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand help; and __fish_seen_subcommand_from guard" -f -a "status" -d 'Say whether it is armed, and for which binaries; exit 1 when it is not'
complete -c aegisbpf -n "__fish_aegisbpf_using_subcommand help; and __fish_seen_subcommand_from guard" -f -a "admit" -d 'Let another binary count as the agent, so that an upgrade can take over'
