/// A page in Markdown, as far as the checks need it.
struct Markdown {
    let path: String
    /// Without the blocks of code.
    private let lines: [Substring]

    static let all = Repository.paths(under: "", ending: ".md").compactMap { path in Repository.text(path).map { Markdown(path, $0) } }

    init(_ path: String, _ text: String) {
        self.path = path
        var isCode = false
        lines = text.split(separator: "\n", omittingEmptySubsequences: false).filter { line in
            if line.drop(while: { $0 == " " }).hasPrefix("```") {
                isCode.toggle()
                return false
            }
            return !isCode
        }
    }

    /// The targets of links and pictures.
    var links: [String] {
        lines.flatMap { line in
            String(line).replacing(/`[^`]*`/, with: "").matches(of: /\]\(([^()\s]+)\)/).map { String($0.1) }
        }
    }

    /// `Sources/…` and the like, written as code.
    var namedPaths: [String] {
        lines.flatMap { line in
            line.matches(of: /`((?:Sources|Tests|docs|scripts|Benchmarks|Fuzz)\/[\w.\/+-]+)`/).map { String($0.1) }
        }
    }

    /// What `#…` at the end of a link may name.
    var anchors: Set<String> {
        Set(lines.compactMap { line in
            line.prefixMatch(of: /#{1,6} +(.*)/).map { match in
                String(match.1.lowercased().compactMap { character -> Character? in
                    if character == " " { return "-" }
                    return character.isLetter || character.isNumber || character == "-" || character == "_" ? character : nil
                })
            }
        })
    }

    /// The cells of the rows between `<!-- begin NAME -->` and `<!-- end NAME -->`, without the table's head.
    func table(_ name: String) -> [[String]] {
        guard let begin = lines.firstIndex(of: "<!-- begin \(name) -->"), let end = lines.firstIndex(of: "<!-- end \(name) -->"), begin < end
        else { return [] }
        return lines[(begin + 1)..<end].filter { $0.hasPrefix("|") }.dropFirst(2).map { row in
            row.split(separator: "|", omittingEmptySubsequences: false).dropFirst().dropLast().map {
                String($0.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
            }
        }
    }
}
