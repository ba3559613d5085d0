import ArgumentParser

/// How the commands end, as the shell sees it; those above 63 are named as in sysexits.h. `pgmosaic --help` lists them.
enum ExitStatus {
    /// The server refused or the work failed.
    static let failed = ExitCode(1)
    /// ArgumentParser's own, for words on the command line that make no sense.
    static let usage = ExitCode(64)
    /// A server that the command needs does not answer.
    static let unreachable = ExitCode(69)
    /// A server's settings are wrong.
    static let configuration = ExitCode(78)
}
