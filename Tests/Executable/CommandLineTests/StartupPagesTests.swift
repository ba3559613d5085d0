import Foundation
import Testing

@testable import pgmosaic

struct StartupPagesTests {
    /// Mappings as the kernel shows them, with their figures cut down to what is looked at.
    private static let smaps = """
        55d000000000-55d000200000 r--p 00000000 fe:00 42      /usr/bin/pgmosaic
        Rss:                2048 kB
        Anonymous:             0 kB
        55d000200000-55d000400000 r-xp 00200000 fe:00 42      /usr/bin/pgmosaic
        Rss:                2048 kB
        Anonymous:             0 kB
        55d000400000-55d000401000 r--p 00400000 fe:00 42      /usr/bin/pgmosaic
        Anonymous:             4 kB
        55d000401000-55d000402000 rw-p 00401000 fe:00 42      /usr/bin/pgmosaic
        Anonymous:             0 kB
        55d000402000-55d000403000 r--s 00000000 fe:00 43      /tmp/shared
        Anonymous:             0 kB
        7f0000000000-7f0000001000 r-xp 00000000 00:00 0       [vdso]
        Anonymous:             0 kB
        7f0000001000-7f0000002000 r--p 00000000 00:00 0
        Anonymous:             0 kB
        7f0000002000-7f0000004000 r-xp 00000000 fe:00 44      /lib/with spaces/libc.so.6 (deleted)
        Anonymous:             0 kB

        """

    @Test func onlyFilesThatNobodyChangedAreNamed() {
        #expect(
            StartupPages.unchangedFiles(smaps: Self.smaps) == [
                0x55d0_0000_0000..<0x55d0_0020_0000, 0x55d0_0020_0000..<0x55d0_0040_0000, 0x7f00_0000_2000..<0x7f00_0000_4000,
            ])
    }

    @Test func aTextOfAnotherFormNamesNothing() {
        #expect(StartupPages.unchangedFiles(smaps: "") == [])
        #expect(StartupPages.unchangedFiles(smaps: "no-thing r-xp 0 0 0 /x\nAnonymous: 0 kB\n9-1 r-xp 0 0 0 /x\nAnonymous: 0 kB") == [])
        #expect(StartupPages.unchangedFiles(smaps: "Anonymous: 0 kB\n10-20 r-xp 0 0 0 /x\nAnonymous: many") == [])
    }

    #if os(Linux)
        /// The process goes on, and holds less of its own program's file than before.
        @Test func whatIsGivenBackIsMappedAgainWhereItIsUsed() throws {
            func fileBytes() throws -> Int {
                let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
                let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("RssFile:") })
                return try #require(Int(line.split(separator: " ")[1]))
            }
            let before = try fileBytes()
            StartupPages.giveBack()
            let after = try fileBytes()
            #expect(after < before)
            #expect(try JSONSerialization.jsonObject(with: Data("[1, 2]".utf8)) as? [Int] == [1, 2])
        }
    #endif
}
