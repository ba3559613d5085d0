/// The shell program between this process and each process it starts.
///
/// Its purpose is the promise that nothing is left behind: it holds the read end of a pipe whose write end only the
/// starter has. However the starter ends, SIGKILL included, the pipe closes and the supervisor stops its child.
/// PR_SET_PDEATHSIG would not do: it follows the starting *thread*, and a change of account clears it.
enum Supervisor {
    /// File descriptors in the shell: 3 is the pipe whose end means "the starter is gone", 4 takes the child's pid.
    static let lifetimeDescriptor: Int32 = 3
    static let pidDescriptor: Int32 = 4

    /// Arguments: the signal that asks the child to stop, the tenths of a second it gets before SIGKILL, the command line.
    ///
    /// Descriptor 5 carries standard input past the rule that a shell gives background commands /dev/null.
    /// A child that was paused, and its own children, are continued first: a stopped process cannot end by itself.
    static let script = """
        signal=$1; tenths=$2; shift 2
        exec 5<&0 </dev/null
        "$@" <&5 3<&- 4>&- 5<&- &
        child=$!
        exec 5<&-
        (
          exec >/dev/null 2>&1 4>&-
          read -r _ <&3
          for folder in /proc/[0-9]*; do
            { read -r pid _ _ parent _ <"$folder/stat"; } 2>/dev/null || continue
            [ "$parent" = "$child" ] && kill -s CONT "$pid"
          done
          kill -s CONT "$child"
          kill -s "$signal" "$child"
          while [ "$tenths" -gt 0 ] && kill -0 "$child"; do sleep 0.1; tenths=$((tenths - 1)); done
          kill -s KILL "$child"
        ) &
        watch=$!
        exec 3<&-
        echo "$child" >&4
        exec 4>&-
        wait "$child"
        status=$?
        kill "$watch" 2>/dev/null
        exit "$status"
        """

    static func commandLine(signal: String, grace: Duration, command: [String]) -> [String] {
        let tenths = grace.components.seconds * 10
        return ["/bin/sh", "-c", script, "supervisor", signal, String(tenths)] + command
    }
}
