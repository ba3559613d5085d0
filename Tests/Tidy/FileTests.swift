import Foundation
import Testing

@Suite struct FileTests {
    private static let linesMax = 500

    /// A file that long holds more than one concept.
    @Test func noSourceFileIsTooLong() {
        // Code that a program made is read by nobody.
        for (path, code) in Repository.sources where !path.contains("/Generated/") {
            #expect(code.code.lineCount <= Self.linesMax, "\(path) has \(code.code.lineCount) lines")
        }
    }

    /// Paths of the machine on which something was written mean nothing on another one.
    @Test func noFileNamesAFolderOfSomebodysMachine() {
        let folder = "/" + "work/"
        let scratch = "/tmp/" + "pkg"
        for path in Repository.paths {
            guard let bytes = Repository.bytes(path), [folder, scratch].contains(where: { bytes.range(of: Data($0.utf8)) != nil }) else { continue }
            let text = String(decoding: bytes, as: UTF8.self)
            for (number, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
                let isFound = line.contains(scratch) || line.ranges(of: folder).contains { range in
                    range.lowerBound == line.startIndex || !Self.isPartOfAPath(line[line.index(before: range.lowerBound)])
                }
                #expect(!isFound, "\(path):\(number + 1) names a folder of one machine")
            }
        }
    }

    private static func isPartOfAPath(_ character: Character) -> Bool { character.isLetter || character.isNumber || "._-}".contains(character) }
}
