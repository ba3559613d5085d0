import Foundation

/// The pages of program and libraries that only the start needed: symbols, relocations, the parsing of settings. The kernel maps them in large pieces (64 KiB,
/// since Linux 6.18 whole folios of the page cache), and would count them as this process's for ever. docs/decisions/0044-startup-pages.md.
enum StartupPages {
    /// Once the start is over, and what follows upon it: the first connections to the shards, the first look at replicas.
    static func giveBackSoon() {
        Task.detached(priority: .background) {
            try? await Task.sleep(for: .seconds(5))
            giveBack()
        }
    }

    /// Unmaps them; what is used again is mapped again at its next use, from the page cache. Does nothing where there is no /proc.
    static func giveBack() {
        #if os(Linux)
            guard let smaps = try? String(contentsOfFile: "/proc/self/smaps", encoding: .utf8) else { return }
            for range in unchangedFiles(smaps: smaps) {
                // Of a mapping that is no one's to write and has no page of its own, nothing can be lost.
                guard let start = UnsafeMutableRawPointer(bitPattern: range.lowerBound) else { continue }
                unsafe madvise(start, range.count, MADV_DONTNEED)
            }
        #endif
    }

    /// The addresses, in the text of `/proc/PID/smaps`, of private mappings of files that cannot be written and whose pages are all the file's own. A page that
    /// relocation changed is "anonymous" there: its mapping is left out as a whole.
    static func unchangedFiles(smaps: String) -> [Range<UInt>] {
        var ranges: [Range<UInt>] = []
        var current: Range<UInt>?
        for line in smaps.split(separator: "\n") {
            let words = line.split(separator: " ", omittingEmptySubsequences: true)
            guard let first = words.first else { continue }
            if first.last != ":" {
                current = words.count >= 6 && words[5].hasPrefix("/") && (words[1] == "r-xp" || words[1] == "r--p") ? addresses(first) : nil
            } else if first == "Anonymous:", let range = current {
                if words.count == 3, words[1] == "0" { ranges.append(range) }
                current = nil
            }
        }
        return ranges
    }

    /// `55d0c0000000-55d0c4000000`.
    private static func addresses(_ text: Substring) -> Range<UInt>? {
        let ends = text.split(separator: "-").compactMap { UInt($0, radix: 16) }
        return ends.count == 2 && ends[0] < ends[1] ? ends[0]..<ends[1] : nil
    }
}
