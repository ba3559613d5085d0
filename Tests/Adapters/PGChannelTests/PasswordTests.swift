import PGChannel
import PGWire
import PostgresProcess
import Testing
import WireFuzzing

extension RealServerTests {
    /// The password's preparation (SASLprep), compared with what the server stores for it.
    @Suite struct PasswordTests {
        /// Ranges with characters that are mapped, composed, prohibited, unassigned, or of either direction.
        private static let ranges: [ClosedRange<UInt32>] = [
            0x21...0x7E, 0x80...0x17F, 0x300...0x36F, 0x370...0x3FF, 0x590...0x6FF, 0x1100...0x11FF, 0x1E00...0x1FFF, 0x2000...0x206F, 0x2100...0x218F,
            0x2FF0...0x3030, 0xAC00...0xAC80, 0xE000...0xE010, 0xFB00...0xFE0F, 0xFE70...0xFFFD, 0x1D100...0x1D1FF, 0x1F600...0x1F610, 0xE0000...0xE0080,
        ]

        private static let examples = [
            "I\u{AD}X", "\u{AA}", "\u{2168}", "a\u{A0}b", "e\u{301}", "\u{340}a", "\u{627}\u{31}", "\u{627}\u{31}\u{628}", "\u{AD}", "\u{200B}", "a\u{627}",
            "\u{E000}", "\u{221}", "\u{1D15E}", "\u{F951}", "\u{2F868}", "\u{1E9B}\u{323}", "ﷺ", "가\u{11A8}", "\u{7F}é", "\u{7}é", "\u{3000}", "👨\u{200D}👩",
            "\u{FB75}\u{36E}\u{FC88}", "\u{FC88}\u{64F}\u{628}",
        ]

        private static func random(_ count: Int, seed: UInt64) -> [String] {
            var random = SplitMix64(state: seed)
            return (0..<count).map { _ in
                var text = String.UnicodeScalarView()
                // Mostly of one range, so that more than the prohibited come about.
                let home = ranges.randomElement(using: &random)!
                for _ in 0..<Int.random(in: 1...3, using: &random) {
                    let range = Int.random(in: 0..<4, using: &random) == 0 ? ranges.randomElement(using: &random)! : home
                    if let scalar = Unicode.Scalar(UInt32.random(in: range, using: &random)) { text.append(scalar) }
                }
                return text.isEmpty ? "x" : String(text)
            }
        }

        @Test func theVerifierIsThatOfTheServerForAnyPassword() async throws {
            let seed = WireMutator.seed()
            print("random passwords with seed \(seed); PGMOSAIC_FUZZ_SEED=\(seed) repeats them")
            try await RealServer.withClient { client in
                try await client.execute("CREATE ROLE of_random_password")
                for password in Self.examples + Self.random(12, seed: seed) {
                    try await client.execute("ALTER ROLE of_random_password PASSWORD '\(password.replacing("'", with: "''"))'")
                    let stored = try await client.query("SELECT rolpassword FROM pg_authid WHERE rolname = 'of_random_password'").rows.first?.text(0)
                    let verifier = try #require(stored.flatMap { ScramVerifier.parse($0) })
                    let ours = ScramVerifier.make(password: password, salt: verifier.salt, iterations: verifier.iterations)
                    #expect(ours == verifier, "\(password.unicodeScalars.map { String($0.value, radix: 16) })")
                }
            }
        }
    }
}
