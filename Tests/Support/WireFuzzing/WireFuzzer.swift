package import NIOCore
internal import PGWire

/// Feeds bytes to every parser of PGWire. A crash is the finding; the checks here catch wrong answers that do not crash.
package enum WireFuzzer {
    /// A view that reaches beyond its input, or a message that changes when it is written again.
    package struct Finding: Error, Sendable {
        package let what: String

        package init(what: String) { self.what = what }
    }

    /// One run: `input` as a stream of both sides, and its content as the body of every message.
    package static func run(_ input: ByteBuffer) throws(Finding) {
        var stream = input
        let limits = WireLimits()
        var startup = input
        if let packet = try? StartupPacket.parse(from: &startup, limits: limits), case .startup(let message) = packet {
            _ = message.settings
            _ = message.protocolOptions
        }
        // Frames as they come; each body goes to all parsers, whatever its kind says.
        var bodies: [ByteBuffer] = [input]
        while let frame = try? stream.readFrame(limit: 1 << 20) { bodies.append(frame.body) }
        for body in bodies {
            try frontend(body)
            try backend(body)
            scram(Array(body.readableBytesView))
            try CopyFuzzer.run(body)
        }
    }

    private static func frontend(_ body: ByteBuffer) throws(Finding) {
        if let message = try? ParseMessage(body: body) {
            _ = message.parameterTypes.array
            var copy = ByteBuffer()
            copy.writeParse(rewriting: message, name: String(buffer: message.name))
            try requireSame(copy, body, message.name, "Parse")
        }
        if let message = try? BindMessage(body: body) {
            var total = 0
            for value in message.parameters { total += value?.readableBytes ?? 0 }
            var cursor = message.parameters.makeCursor()
            for index in (0..<message.parameters.count).reversed().prefix(64) {

                guard cursor.value(at: index) == message.parameter(at: index) else { throw Finding(what: "a cursor disagrees with its list") }
                _ = message.format(ofParameter: index)
            }
            guard total <= body.readableBytes else { throw Finding(what: "Bind is longer than its bytes") }
            var copy = ByteBuffer()
            copy.writeBind(rewriting: message, statementName: String(buffer: message.statement))
            try requireSame(copy, body, message.statement, "Bind")
        }
        _ = try? DescribeMessage(body: body)
        _ = try? CloseMessage(body: body)
        _ = try? ExecuteMessage(body: body)
        _ = try? QueryMessage(body: body)
        _ = try? PasswordMessage(body: body)
        _ = try? SASLInitialResponse(body: body)
        _ = try? CopyFail(body: body)
    }

    private static func backend(_ body: ByteBuffer) throws(Finding) {
        _ = try? AuthenticationRequest(body: body)
        _ = try? ParameterStatus(body: body)
        _ = try? BackendKeyData(body: body)
        _ = try? ReadyForQuery(body: body)
        if let tag = try? CommandTag(body: body) { _ = (tag.verb, tag.rows) }
        _ = try? NotificationResponse(body: body)
        _ = try? ParameterDescription(body: body).types.array
        _ = try? CopyResponse(body: body)
        _ = try? NegotiateProtocolVersion(body: body)
        if let row = try? DataRow(body: body) {
            var copy = ByteBuffer()
            copy.writeDataRow(Array(row.columns))
            copy.moveReaderIndex(forwardBy: FrameHeader.length)
            guard copy == body else { throw Finding(what: "DataRow changes when written again") }
        }
        if let description = try? RowDescription(body: body) { _ = description.columns.count }
        if let error = try? ServerError(body: body) {
            _ = (error.description, error.severity, error.sqlState, error.position)
            var copy = ByteBuffer()
            copy.writeErrorResponse(error)
        }
        _ = ServerError.sqlState(of: body)
    }

    private static func scram(_ bytes: [UInt8]) {
        let verifier = ScramVerifier(iterations: 1, salt: [1], storedKey: [UInt8](repeating: 2, count: 32), serverKey: [UInt8](repeating: 3, count: 32))
        var server = ScramServer(verifier: verifier, nonce: "server")
        _ = try? server.receiveFirst(mechanism: ScramClient.mechanism, data: bytes)
        _ = try? server.receiveFinal(bytes)
        var client = ScramClient(nonce: "abc")
        _ = client.firstMessage()
        _ = try? client.challenge(from: bytes)
        _ = try? client.verify(serverFinal: bytes)
        _ = ScramVerifier.parse(String(decoding: bytes, as: UTF8.self))
    }

    /// Names that are not UTF-8 are repaired on their way through String: only others must stay the same.
    private static func requireSame(_ copy: ByteBuffer, _ body: ByteBuffer, _ name: ByteBuffer, _ what: String) throws(Finding) {
        guard name.utf8Text != nil else { return }
        var copy = copy
        copy.moveReaderIndex(forwardBy: FrameHeader.length)
        guard copy == body else { throw Finding(what: "\(what) changes when written again") }
    }
}
