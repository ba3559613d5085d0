import Foundation

/// The blocks of a page of the guide that a shell runs, in order, with the output that stands behind each.
struct ShellPage {
    struct Block {
        var commands: String
        /// nil: the page shows none.
        var output: String?
        /// Of the block's first line in the page.
        var line: Int
    }

    private(set) var blocks: [Block] = []
    /// Blocks for who is root, which are not run.
    private(set) var leftOut = 0

    /// - replacing: what stands for what, in commands and outputs.
    init(_ text: String, replacing: (String) -> String) {
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init).enumerated().makeIterator()
        var mayShowOutput = false
        while let (number, line) = lines.next() {
            guard line.hasPrefix("```") else {
                if !line.isEmpty { mayShowOutput = false }
                continue
            }
            var body: [String] = []
            while let (_, inside) = lines.next(), !inside.hasPrefix("```") { body.append(inside) }
            let text = replacing(body.joined(separator: "\n"))
            switch line {
            case "```sh":
                blocks.append(Block(commands: text, line: number + 2))
                mayShowOutput = true
                continue
            case "```sh as root": leftOut += 1
            case "```" where mayShowOutput: blocks[blocks.count - 1].output = text
            default: break
            }
            mayShowOutput = false
        }
    }

    /// One script; before each block it prints a mark.
    var script: String {
        (["set -e"] + blocks.enumerated().map { "echo '\(Self.mark($0))'\n\($1.commands)" }).joined(separator: "\n") + "\necho '\(Self.mark(blocks.count))'\n"
    }

    /// What each block printed, of those that were begun.
    func outputs(in text: String) -> [String] {
        var outputs: [String] = []
        var rest = Substring(text)
        for index in blocks.indices {
            guard let start = rest.range(of: Self.mark(index) + "\n") else { break }
            rest = rest[start.upperBound...]
            outputs.append(String(rest[..<(rest.range(of: Self.mark(index + 1))?.lowerBound ?? rest.endIndex)]))
        }
        return outputs
    }

    private static func mark(_ index: Int) -> String { "@@ block \(index) @@" }

    /// Whether an output is as shown, where "…" stands for anything; blanks at the ends of lines, and empty lines at both ends, do not count.
    static func matches(_ output: String, _ shown: String) -> Bool {
        let pieces = trimmed(shown).components(separatedBy: "…")
        var rest = Substring(trimmed(output))
        for (index, piece) in pieces.enumerated() {
            if index == 0 {
                guard rest.hasPrefix(piece) else { return false }
                rest = rest.dropFirst(piece.count)
            } else if index == pieces.count - 1 {
                guard rest.hasSuffix(piece) else { return false }
                return true
            } else {
                guard let range = rest.range(of: piece) else { return piece.isEmpty }
                rest = rest[range.upperBound...]
            }
        }
        return rest.isEmpty
    }

    private static func trimmed(_ text: String) -> String {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map { line in String(line.reversed().drop { $0 == " " }.reversed()) }
        return lines.joined(separator: "\n").trimmingCharacters(in: .newlines)
    }
}
