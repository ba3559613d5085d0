import Foundation

/// Standard output and standard error of the commands. Errors of writing (a reader that has gone) are nobody's concern.
enum Console {
    static func line(_ text: String) {
        try? FileHandle.standardOutput.write(contentsOf: Data((text + "\n").utf8))
    }

    static func complain(_ text: String) {
        try? FileHandle.standardError.write(contentsOf: Data((text + "\n").utf8))
    }
}
