import LogicalReplication
import NIOCore
import ReplicationFuzzing
import Testing
import WireFuzzing

@Suite struct DecoderTests {
    struct Sample: Sendable, CustomTestStringConvertible {
        let message: PGOutputMessage
        let inStream: Bool
        var bytes: ByteBuffer { ByteBuffer(pgoutput: message) }
        var decoder: PGOutputDecoder { PGOutputSamples.decoder(inStream: inStream) }
        var testDescription: String { "\(String("\(message)".prefix(60)))\(inStream ? " in a block" : "")" }
    }

    static let samples =
        PGOutputSamples.outside.map { Sample(message: $0, inStream: false) } + PGOutputSamples.inStream.map { Sample(message: $0, inStream: true) }

    @Test(arguments: samples) func whatIsWrittenIsReadBackAtItsFullLengthOnly(_ sample: Sample) throws {
        var decoder = sample.decoder
        let bytes = sample.bytes
        #expect(try decoder.decode(bytes) == sample.message)
        for count in 0..<bytes.readableBytes {
            var decoder = sample.decoder
            let part = bytes.getSlice(at: bytes.readerIndex, length: count)!
            #expect(throws: ReplicationError.self, "cut at \(count)") { try decoder.decode(part) }
            #expect(decoder.isInStream == sample.inStream)
        }
        var longer = bytes
        longer.writeInteger(0 as UInt8)
        var other = sample.decoder
        #expect(throws: ReplicationError.self, "one byte too many") { try other.decode(longer) }
    }

    /// No count or length may reserve memory, loop or read on its word.
    @Test(arguments: samples) func everyByteMayBeOfTheWorstValue(_ sample: Sample) throws {
        let bytes = Array(sample.bytes.readableBytesView)
        for place in bytes.indices {
            for hostile: [UInt8] in [[0xFF, 0xFF, 0xFF, 0xFF], [0x7F, 0xFF, 0xFF, 0xFF], [0x80, 0, 0, 0], [0, 0, 0, 0], [0x7F, 0xFF], [0xFF]] {
                var spoiled = bytes
                for (offset, byte) in hostile.enumerated() where place + offset < bytes.count { spoiled[place + offset] = byte }
                try ReplicationFuzzer.run(ByteBuffer(bytes: spoiled))
                var decoder = sample.decoder
                _ = try? decoder.decode(ByteBuffer(bytes: spoiled))
            }
        }
    }

    @Test func aCountThatTheMessageCannotHoldIsRefusedBeforeAnythingIsReserved() {
        // 32,767 columns, 2^31-1 relations, a value of 2 GB.
        let hostile: [([UInt8], ReplicationError.Reason)] = [
            ([0x49, 0, 0, 0, 1, 0x4E, 0x7F, 0xFF], .invalidCount), ([0x49, 0, 0, 0, 1, 0x4E, 0xFF, 0xFF], .invalidCount),
            ([0x54, 0x7F, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0, 1], .invalidCount), ([0x54, 0, 0, 0, 0, 0], .invalidCount),
            ([0x54, 0xFF, 0xFF, 0xFF, 0xFF, 0], .invalidCount),
            ([0x49, 0, 0, 0, 1, 0x4E, 0, 1, 0x74, 0x7F, 0xFF, 0xFF, 0xFF], .truncated),
            ([0x49, 0, 0, 0, 1, 0x4E, 0, 1, 0x74, 0xFF, 0xFF, 0xFF, 0xFF], .invalidLength),
            ([0x52, 0, 0, 0, 1, 0, 0x74, 0, 0x64, 0x7F, 0xFF], .invalidCount),
        ]
        for (bytes, reason) in hostile {
            var decoder = PGOutputDecoder(version: .one)
            #expect(throws: ReplicationError(reason, kind: bytes[0])) { try decoder.decode(ByteBuffer(bytes: bytes)) }
        }
    }

    /// Every kind byte, in every version, inside and outside of a block.
    @Test func aMessageIsTakenOnlyWhereItsVersionAndPlaceAllowIt() {
        let since: [Character: PGOutputVersion] = [
            "S": .two, "E": .two, "c": .two, "A": .two, "b": .three, "P": .three, "K": .three, "r": .three, "p": .three,
        ]
        let outside = Set("RYIUDTMOBCScAbPKrp")
        let inStream = Set("RYIUDTMOE")
        for version in PGOutputVersion.allCases {
            for isInStream in [false, true] where !isInStream || version >= .two {
                for kind in UInt8.min ... .max {
                    var decoder = PGOutputDecoder(version: version)
                    if isInStream { _ = try? decoder.decode(ByteBuffer(pgoutput: .streamStart(StreamStart(xid: TransactionID(1), isFirst: true)))) }
                    #expect(decoder.isInStream == isInStream)
                    let name = Character(Unicode.Scalar(kind))
                    let isKnown = outside.contains(name) || inStream.contains(name)
                    let mayCome = (isInStream ? inStream : outside).contains(name) && version >= since[name] ?? .one
                    var reason: ReplicationError.Reason?
                    do throws(ReplicationError) { _ = try decoder.decode(ByteBuffer(integer: kind)) } catch { reason = error.reason }
                    let expected: ReplicationError.Reason? =
                        !isKnown ? .unknownMessage : !mayCome ? .unexpectedMessage : name == "E" ? nil : .truncated
                    #expect(reason == expected, "\(name) in \(version), \(isInStream ? "in a block" : "outside")")
                }
            }
        }
    }

    @Test func flagsAndKindsThatTheProtocolLacksAreRefused() {
        for bytes: [UInt8] in [
            [0x49, 0, 0, 0, 1, 0x4B, 0, 0], [0x55, 0, 0, 0, 1, 0x58, 0, 0],
            [0x55, 0, 0, 0, 1, 0x4B, 0, 0, 0x4B, 0, 0], [0x44, 0, 0, 0, 1, 0x4E, 0, 0],
            [0x49, 0, 0, 0, 1, 0x4E, 0, 1, 0x78], [0x54, 0, 0, 0, 1, 4, 0, 0, 0, 1], [0x52, 0, 0, 0, 1, 0, 0x74, 0, 0x78, 0, 0],
            // Begin without a position; Commit with flags.
            [0x42] + [UInt8](repeating: 0, count: 20), [0x43, 1] + [UInt8](repeating: 1, count: 24),
        ] {
            var decoder = PGOutputDecoder(version: .three)
            #expect(throws: ReplicationError(.invalidValue, kind: bytes[0])) { try decoder.decode(ByteBuffer(bytes: bytes)) }
        }
        var decoder = PGOutputDecoder(version: .one)
        #expect(throws: ReplicationError(.invalidEncoding, kind: 0x4F)) {
            try decoder.decode(ByteBuffer(bytes: [0x4F] + [UInt8](repeating: 0, count: 8) + [0xFF, 0]))
        }
        #expect(throws: ReplicationError(.unterminatedString, kind: 0x4F)) {
            try decoder.decode(ByteBuffer(bytes: [0x4F] + [UInt8](repeating: 0, count: 8) + [0x41]))
        }
        #expect(throws: ReplicationError(.truncated, kind: 0)) { try decoder.decode(ByteBuffer()) }
    }

    @Test func spoiledMessagesBreakNoDecoder() throws {
        let seed = WireMutator.seed()
        var mutator = WireMutator(seed: seed, seeds: PGOutputSamples.bytes())
        print("spoiled messages with seed \(seed); replay: swift run ReplicationFuzz --seed \(seed)")
        for run in 0..<20_000 {
            do throws(WireFuzzer.Finding) {
                try ReplicationFuzzer.run(run % 2 == 0 ? mutator.next() : mutator.spoiled(mutator.seed()))
            } catch {
                Issue.record("\(error.what) in run \(run); replay: swift run ReplicationFuzz --seed \(seed)")
                return
            }
        }
    }
}
