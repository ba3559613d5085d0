import ArgumentParser
import Foundation

/// Where a password is read from; never the command line, which every process of the machine can read.
struct PasswordSource: ParsableArguments {
    @Option(help: ArgumentHelp("File whose first line is the password. (standard input)", valueName: "file")) var passwordFile: String?

    func read() throws(ClientError) -> String { try Self.read(file: passwordFile) }

    /// nil: from standard input.
    static func read(file: String?) throws(ClientError) -> String {
        let text: String?
        if let file {
            guard let data = FileManager.default.contents(atPath: file) else { throw .usage("\(file) cannot be read") }
            text = String(data: data, encoding: .utf8)
        } else if isatty(STDIN_FILENO) == 1 {
            text = getpass("Password: ").map { String(cString: $0) }
        } else {
            text = readLine()
        }
        guard let line = text?.split(separator: "\n", maxSplits: 1).first.map(String.init), !line.isEmpty else {
            throw .usage("no password was given; its first line is read from --password-file or from standard input")
        }
        return line.hasSuffix("\r") ? String(line.dropLast()) : line
    }
}
