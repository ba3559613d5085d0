package import NIOCore

/// The first packet of a connection. It has a length and no kind.
package enum StartupPacket: Hashable, Sendable {
    case startup(StartupMessage)
    case sslRequest
    case gssEncRequest
    case cancel(CancelRequest)

    static let sslRequestCode: Int32 = 80_877_103
    static let gssEncRequestCode: Int32 = 80_877_104
    static let cancelRequestCode: Int32 = 80_877_102

    /// Takes the packet at the reader index, nil while it is incomplete.
    package static func parse(from buffer: inout ByteBuffer, limits: WireLimits = WireLimits()) throws(WireError) -> StartupPacket? {
        guard let length = buffer.getInteger(at: buffer.readerIndex, as: Int32.self) else { return nil }
        guard length >= 8 else { throw WireError(.invalidLength, kind: 0) }
        guard Int(length) <= limits.startupPacketMax else { throw WireError(.messageTooLarge, kind: 0) }
        guard buffer.readableBytes >= Int(length), var packet = buffer.readSlice(length: Int(length)) else { return nil }
        packet.moveReaderIndex(forwardBy: 4)
        let code = try packet.readChecked(Int32.self, kind: 0)
        switch code {
        case sslRequestCode:
            try packet.requireEmpty(kind: 0)
            return .sslRequest
        case gssEncRequestCode:
            try packet.requireEmpty(kind: 0)
            return .gssEncRequest
        case cancelRequestCode:
            return .cancel(try CancelRequest(content: packet))
        default:
            guard code >> 16 == 3 else { throw WireError(.unsupportedProtocol, kind: 0) }
            return .startup(try StartupMessage(minorVersion: Int(code & 0xFFFF), content: packet))
        }
    }
}

/// StartupMessage: who connects to what, with which settings.
package struct StartupMessage: Hashable, Sendable {
    package struct Parameter: Hashable, Sendable {
        package let name: String
        package let value: String

        package init(name: String, value: String) {
            self.name = name
            self.value = value
        }
    }

    /// 0 for protocol 3.0. A newer minor version is answered with NegotiateProtocolVersion.
    package let minorVersion: Int
    /// In the order sent. For a name that comes twice the last one counts, as in PostgreSQL.
    package let parameters: [Parameter]
    package let user: String

    /// Throws `missingUser`, as PostgreSQL does.
    init(minorVersion: Int, content: ByteBuffer) throws(WireError) {
        var content = content
        var parameters: [Parameter] = []
        while true {
            let name = try content.readCString(kind: 0)
            guard !name.isEmpty else { break }
            parameters.append(Parameter(name: name, value: try content.readCString(kind: 0)))
        }
        try content.requireEmpty(kind: 0)
        guard let user = parameters.last(where: { $0.name == "user" })?.value, !user.isEmpty else {
            throw WireError(.missingUser, kind: 0)
        }
        self.minorVersion = minorVersion
        self.parameters = parameters
        self.user = user
    }

    package subscript(name: String) -> String? { parameters.last { $0.name == name }?.value }

    /// The database named, by default that of the user's name.
    package var database: String {
        guard let database = self["database"], !database.isEmpty else { return user }
        return database
    }

    /// Protocol options (`_pq_.…`), of which none is known: they are named in NegotiateProtocolVersion.
    package var protocolOptions: [String] { parameters.map(\.name).filter { $0.hasPrefix("_pq_.") } }
    package var needsNegotiation: Bool { minorVersion > 0 || !protocolOptions.isEmpty }

    /// The settings for the session: without user, database, options, replication and protocol options.
    package var settings: [Parameter] {
        parameters.filter { parameter in
            switch parameter.name {
            case "user", "database", "options", "replication": false
            default: !parameter.name.hasPrefix("_pq_.")
            }
        }
    }
}

/// CancelRequest: asks to cancel what the session with this key is running. Never answered.
package struct CancelRequest: Hashable, Sendable {
    package let processID: Int32
    package let secret: Int32

    package init(processID: Int32, secret: Int32) {
        self.processID = processID
        self.secret = secret
    }

    init(content: ByteBuffer) throws(WireError) {
        var content = content
        processID = try content.readChecked(kind: 0)
        secret = try content.readChecked(kind: 0)
        try content.requireEmpty(kind: 0)
    }
}

extension ByteBuffer {
    /// A StartupMessage of protocol 3.0.
    package mutating func writeStartup(_ parameters: [StartupMessage.Parameter]) {
        let start = writerIndex
        writeMultipleIntegers(0 as Int32, 3 << 16 as Int32)
        for parameter in parameters {
            writeCString(parameter.name)
            writeCString(parameter.value)
        }
        writeInteger(0 as UInt8)
        setInteger(Int32(writerIndex - start), at: start)
    }

    package mutating func writeSSLRequest() { writeMultipleIntegers(8 as Int32, StartupPacket.sslRequestCode) }
    package mutating func writeGSSEncRequest() { writeMultipleIntegers(8 as Int32, StartupPacket.gssEncRequestCode) }

    package mutating func writeCancelRequest(_ request: CancelRequest) {
        writeMultipleIntegers(16 as Int32, StartupPacket.cancelRequestCode, request.processID, request.secret)
    }
}
