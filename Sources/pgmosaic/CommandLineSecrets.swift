import Foundation

/// Passwords on the command line: every process of the machine can read them there (`ps`), and shells keep them.
///
/// Nothing is refused for it, for the harm is done; who did it is told.
enum CommandLineSecrets {
    static func warn(of words: [String]) {
        guard words.dropFirst().contains(where: holdsPassword) else { return }
        Console.complain(
            "pgmosaic: warning: a URL on the command line holds a password, which others on this machine can read in the list of processes; "
                + "use --password-file or --password-stdin where the command has them, else password=env:NAME or password=file:PATH in the URL")
    }

    private static let schemes = ["postgres://", "postgresql://", "etcd://", "etcds://"]

    /// Whether it is the URL of a server, or an option with one, in which a password stands and no reference. Of URLs that are not well formed as well.
    static func holdsPassword(_ word: String) -> Bool {
        var text = Substring(word)
        if text.hasPrefix("--") { text = text.drop { $0 != "=" }.dropFirst() }
        guard let scheme = schemes.first(where: text.hasPrefix) else { return false }
        text = text.dropFirst(scheme.count)
        if let at = text.lastIndex(of: "@"), text[..<at].contains(":") { return true }
        return text.split(separator: "?").dropFirst().joined().split(separator: "&").contains { item in
            let pair = item.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map { $0.removingPercentEncoding ?? "" }
            guard pair.count == 2, pair[0] == "password" else { return false }
            return !pair[1].isEmpty && !["env:", "file:", "sealed:"].contains(where: pair[1].hasPrefix)
        }
    }
}
