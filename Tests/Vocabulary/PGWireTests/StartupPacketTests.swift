import NIOCore
import PGWire
import Testing
import WireFuzzing

@Suite struct StartupPacketTests {
    private func packet(_ write: (inout ByteBuffer) -> Void) -> ByteBuffer {
        var buffer = ByteBuffer()
        write(&buffer)
        return buffer
    }

    private func startup(version: Int32 = 3 << 16, _ content: String) -> ByteBuffer {
        packet { buffer in
            buffer.writeMultipleIntegers(Int32(8 + content.utf8.count), version)
            buffer.writeString(content)
        }
    }

    private func message(_ buffer: ByteBuffer) throws -> StartupMessage? {
        var buffer = buffer
        guard case .startup(let message) = try StartupPacket.parse(from: &buffer) else { return nil }
        return message
    }

    @Test func libpqsStartupPacketIsUnderstood() throws {
        let message = try #require(try message(CapturedSession.client))
        #expect(message.user == "alice")
        #expect(message.database == "postgres")
        #expect(message["application_name"] == "capture")
        #expect(message.settings.map(\.name) == ["application_name"])
        #expect(!message.needsNegotiation)
    }

    @Test func aPacketIsTakenOnlyWhenItIsWhole() throws {
        let whole = startup("user\0alice\0\0")
        for count in 0..<whole.readableBytes {
            var part = whole.getSlice(at: 0, length: count)!
            #expect(try StartupPacket.parse(from: &part) == nil)
            #expect(part.readableBytes == count)
        }
        var all = whole
        #expect(try StartupPacket.parse(from: &all) != nil)
        #expect(all.readableBytes == 0)
    }

    @Test func requestsWithoutContentAreToldApart() throws {
        var ssl = packet { $0.writeSSLRequest() }
        #expect(try StartupPacket.parse(from: &ssl) == .sslRequest)
        var gss = packet { $0.writeGSSEncRequest() }
        #expect(try StartupPacket.parse(from: &gss) == .gssEncRequest)
        let request = CancelRequest(processID: 12, secret: -9)
        var cancel = packet { $0.writeCancelRequest(request) }
        #expect(try StartupPacket.parse(from: &cancel) == .cancel(request))
    }

    @Test(arguments: [Int32.min, -1, 0, 4, 7]) func aLengthThatHoldsNoVersionIsRefused(_ length: Int32) {
        var buffer = packet { $0.writeMultipleIntegers(length, 3 << 16 as Int32) }
        #expect(throws: WireError(.invalidLength, kind: 0)) { try StartupPacket.parse(from: &buffer) }
    }

    @Test(arguments: [Int32(10_001), .max, 0x1603_0100, 0x4745_5420]) func aPacketBeyondTheLimitIsRefusedByItsLengthAlone(_ length: Int32) {
        // Among them: the first bytes of a TLS ClientHello, and "GET ".
        var buffer = packet { $0.writeInteger(length) }
        #expect(throws: WireError(.messageTooLarge, kind: 0)) { try StartupPacket.parse(from: &buffer) }
    }

    @Test func aNewerMinorVersionAndProtocolOptionsAskForNegotiation() throws {
        let message = try #require(try message(startup(version: 3 << 16 | 2, "user\0a\0_pq_.speed\0on\0\0")))
        #expect(message.minorVersion == 2)
        #expect(message.protocolOptions == ["_pq_.speed"])
        #expect(message.needsNegotiation)
        #expect(message.settings.isEmpty)
    }

    @Test(arguments: [Int32(2 << 16), 4 << 16, 0, 80_877_105]) func anotherMajorVersionIsRefused(_ version: Int32) {
        #expect(throws: WireError(.unsupportedProtocol, kind: 0)) { try message(startup(version: version, "user\0a\0\0")) }
    }

    @Test func contentsThatBreakTheFormatAreRefused() {
        #expect(throws: WireError(.missingUser, kind: 0)) { try message(startup("database\0a\0\0")) }
        #expect(throws: WireError(.missingUser, kind: 0)) { try message(startup("user\0\0\0")) }
        #expect(throws: WireError(.unterminatedString, kind: 0)) { try message(startup("user\0a")) }
        #expect(throws: WireError(.unterminatedString, kind: 0)) { try message(startup("user\0a\0")) }
        #expect(throws: WireError(.trailingBytes, kind: 0)) { try message(startup("user\0a\0\0x")) }
    }

    @Test func theDatabaseIsTheUsersByDefaultAndTheLastValueCounts() throws {
        #expect(try message(startup("user\0a\0\0"))?.database == "a")
        #expect(try message(startup("user\0a\0user\0b\0\0"))?.user == "b")
    }
}

extension StartupPacketTests {
    private static let requests: [(@Sendable (inout ByteBuffer) -> Void, StartupPacket)] = [
        ({ $0.writeSSLRequest() }, .sslRequest), ({ $0.writeGSSEncRequest() }, .gssEncRequest),
        ({ $0.writeCancelRequest(CancelRequest(processID: 7, secret: -8)) }, .cancel(CancelRequest(processID: 7, secret: -8))),
    ]

    @Test func requestsAreReadByteByByteAndOneBehindAnother() throws {
        var whole = ByteBuffer()
        for (write, _) in Self.requests { write(&whole) }
        var received = ByteBuffer()
        var packets: [StartupPacket] = []
        while let byte = whole.readInteger(as: UInt8.self) {
            received.writeInteger(byte)
            if let packet = try StartupPacket.parse(from: &received) { packets.append(packet) }
        }
        #expect(packets == Self.requests.map(\.1))
        #expect(received.readableBytes == 0)
    }

    @Test func requestsOfAnotherLengthAreRefused() {
        for (write, _) in Self.requests {
            var buffer = ByteBuffer()
            write(&buffer)
            buffer.setInteger(Int32(buffer.readableBytes + 1), at: 0)
            buffer.writeInteger(0 as UInt8)
            #expect(throws: WireError(.trailingBytes, kind: 0)) { try StartupPacket.parse(from: &buffer) }
        }
        // A key of protocol 3.2 may be longer than four bytes; none was given out.
        var short = ByteBuffer()
        short.writeMultipleIntegers(12 as Int32, 80_877_102 as Int32, 7 as Int32)
        #expect(throws: WireError(.truncated, kind: 0)) { try StartupPacket.parse(from: &short) }
    }

    @Test func aStartupThatIsWrittenIsReadBack() throws {
        let parameters: [StartupMessage.Parameter] = [
            .init(name: "user", value: "ä"), .init(name: "database", value: "d"), .init(name: "options", value: "-c a=b"),
            .init(name: "replication", value: "database"), .init(name: "TimeZone", value: "UTC"),
        ]
        var buffer = ByteBuffer()
        buffer.writeStartup(parameters)
        guard case .startup(let message) = try StartupPacket.parse(from: &buffer) else {
            Issue.record("not a startup packet")
            return
        }
        #expect(message.parameters == parameters)
        #expect(message.minorVersion == 0)
        #expect(message.settings == [.init(name: "TimeZone", value: "UTC")])
    }
}
