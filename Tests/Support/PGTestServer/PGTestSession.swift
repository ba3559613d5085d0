internal import NIOCore
internal import NIOSSL
internal import PGWire

/// One connection of the test server: startup, then statements by script, in both protocols.
final class PGTestSession: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private enum Phase {
        case startup
        case authenticating(StartupMessage, PGTestAuthenticator)
        case ready
        case copyingIn(isExtended: Bool)
        case skippingToSync
        case stalled(isExtended: Bool)
    }

    private let server: PGTestServer
    private var phase = Phase.startup
    private var received = ByteBuffer()
    private var output = ByteBuffer()
    private var statements: [String: String] = [:]
    private var portals: [String: String] = [:]
    private var copied = ByteBuffer()
    private var status = UInt8(ascii: "I")
    private var isDelayed = false

    init(_ server: PGTestServer) { self.server = server }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        received.writeBuffer(&bytes)
        proceed(context)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    private func proceed(_ context: ChannelHandlerContext) {
        do throws(WireError) {
            while !isPaused, try step(context) {}
        } catch {
            output.writeErrorResponse(error.serverError)
            flush(context)
            context.close(promise: nil)
        }
        flush(context)
    }

    private func flush(_ context: ChannelHandlerContext) {
        guard output.readableBytes > 0 else { return }
        context.writeAndFlush(wrapOutboundOut(output), promise: nil)
        output = ByteBuffer()
    }

    /// What comes while a statement waits is read after it.
    private var isPaused: Bool {
        if case .stalled = phase { return true }
        return isDelayed
    }

    /// false while more bytes are needed.
    private func step(_ context: ChannelHandlerContext) throws(WireError) -> Bool {
        if case .startup = phase {
            guard let packet = try StartupPacket.parse(from: &received) else { return false }
            received(packet, context)
            return true
        }
        guard let frame = try received.readFrame(limit: WireLimits().messageMax) else { return false }
        if case .authenticating(let message, var authenticator) = phase {
            let isDone = authenticator.received(frame.body, &output)
            phase = .authenticating(message, authenticator)
            finishAuthentication(isDone, context)
        } else {
            try received(frame, context)
        }
        return true
    }

    // MARK: Startup

    private func received(_ packet: StartupPacket, _ context: ChannelHandlerContext) {
        switch packet {
        case .sslRequest:
            guard let tls = server.configuration.tls else { return _ = output.writeString("N") }
            output.writeString("S")
            output.writeBytes(server.configuration.bytesBehindTLSAnswer)
            flush(context)
            try? context.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: tls), position: .first)
        case .gssEncRequest: output.writeString("N")
        case .cancel(let request):
            server.cancel(request)
            context.close(promise: nil)
        case .startup(let message):
            server.record(.startup(message))
            if let greeting = server.configuration.greeting { return _ = output.writeImmutableBuffer(greeting) }
            if message.needsNegotiation {
                output.writeNegotiateProtocolVersion(NegotiateProtocolVersion(unrecognizedOptions: message.protocolOptions))
            }
            var authenticator = PGTestAuthenticator(server.configuration, user: message.user)
            let isDone = authenticator.start(&output)
            phase = .authenticating(message, authenticator)
            finishAuthentication(isDone, context)
        }
    }

    private func finishAuthentication(_ isAuthentic: Bool?, _ context: ChannelHandlerContext) {
        switch isAuthentic {
        case nil: return
        case false?:
            output.writeErrorResponse(ServerError(severity: .fatal, sqlState: .invalidPassword, message: "password authentication failed"))
            flush(context)
            context.close(promise: nil)
        case true?:
            output.writeAuthentication(.ok)
            for parameter in server.configuration.parameters { output.writeParameterStatus(name: parameter.name, value: parameter.value) }
            let session = NIOLoopBound((self, context), eventLoop: context.eventLoop)
            let key = server.register { session.eventLoop.execute { session.value.0.cancel(session.value.1) } }
            output.writeBackendKeyData(processID: key.processID, secret: key.secret)
            output.writeReadyForQuery(status: status)
            output.writeImmutableBuffer(server.configuration.bytesBehindReady)
            phase = .ready
        }
    }

    private func cancel(_ context: ChannelHandlerContext) {
        guard case .stalled(let isExtended) = phase else { return }
        fail(ServerError(sqlState: .queryCanceled, message: "canceling statement due to user request"), isExtended: isExtended)
        proceed(context)
    }

    // MARK: Statements

    private func received(_ frame: Frame, _ context: ChannelHandlerContext) throws(WireError) {
        switch (frame.kind, phase) {
        case (FrontendKind.terminate, _):
            server.record(.terminate)
            context.close(promise: nil)
        case (FrontendKind.sync, .copyingIn), (FrontendKind.flush, .copyingIn): break
        case (FrontendKind.sync, _):
            server.record(.sync)
            phase = .ready
            output.writeReadyForQuery(status: status)
        case (_, .skippingToSync): break
        case (_, .copyingIn(let isExtended)): try receivedCopy(frame, isExtended)
        case (FrontendKind.query, _):
            let text = String(buffer: try QueryMessage(body: frame.body).query)
            server.record(.query(text))
            perform(server.configuration.answer(text), text, isExtended: false, context)
        default: try receivedExtended(frame, context)
        }
    }

    private func receivedExtended(_ frame: Frame, _ context: ChannelHandlerContext) throws(WireError) {
        switch frame.kind {
        case FrontendKind.parse:
            let message = try ParseMessage(body: frame.body)
            let (name, query) = (String(buffer: message.name), String(buffer: message.query))
            server.record(.parse(name: name, query: query))
            statements[name] = query
            output.writeParseComplete()
        case FrontendKind.bind: receivedBind(try BindMessage(body: frame.body))
        case FrontendKind.describe: receivedDescribe(try DescribeMessage(body: frame.body))
        case FrontendKind.execute:
            let message = try ExecuteMessage(body: frame.body)
            let portal = String(buffer: message.portal)
            server.record(.execute(portal: portal, rowsMax: message.rowsMax))
            guard let query = portals[portal] else { return fail(.init(sqlState: .invalidCursorName, message: "no portal"), isExtended: true) }
            perform(server.configuration.answer(query), query, isExtended: true, rowsMax: Int(message.rowsMax), context)
        case FrontendKind.close:
            let message = try CloseMessage(body: frame.body)
            let name = String(buffer: message.name)
            server.record(.close(message.target, name: name))
            if message.target == .statement { statements[name] = nil } else { portals[name] = nil }
            output.writeCloseComplete()
        case FrontendKind.flush: server.record(.flush)
        case FrontendKind.copyData, FrontendKind.copyDone, FrontendKind.copyFail: break
        default: throw WireError(.unexpectedMessage, kind: frame.kind)
        }
    }

    private func receivedBind(_ message: BindMessage) {
        let (portal, statement) = (String(buffer: message.portal), String(buffer: message.statement))
        server.record(.bind(portal: portal, statement: statement, parameters: Array(message.parameters)))
        guard let query = statements[statement] else { return fail(.init(sqlState: .invalidStatementName, message: "no statement"), isExtended: true) }
        portals[portal] = query
        output.writeBindComplete()
    }

    private func receivedDescribe(_ message: DescribeMessage) {
        let name = String(buffer: message.name)
        server.record(.describe(message.target, name: name))
        guard let query = message.target == .statement ? statements[name] : portals[name] else {
            return fail(.init(sqlState: .invalidStatementName, message: "nothing of that name"), isExtended: true)
        }
        if message.target == .statement { output.writeParameterDescription([]) }
        if let columns = server.configuration.answer(query).columns { output.writeRowDescription(columns) } else { output.writeNoData() }
    }

    private func perform(_ answer: PGTestAnswer, _ query: String, isExtended: Bool, rowsMax: Int = 0, _ context: ChannelHandlerContext) {
        switch answer {
        case .rows(let columns, let rows, let tag):
            if !isExtended { output.writeRowDescription(columns.map { .init(name: $0, typeOID: 25) }) }
            let isSuspended = rowsMax > 0 && rows.count >= rowsMax
            for row in isSuspended ? rows[..<rowsMax] : rows[...] { output.writeDataRow(text: row) }
            if isSuspended { output.writePortalSuspended() } else { output.writeCommandComplete(tag: tag ?? "SELECT \(rows.count)") }
            ready(isExtended)
        case .command(let tag):
            noteTransaction(query)
            output.writeCommandComplete(tag: tag)
            ready(isExtended)
        case .empty:
            output.writeEmptyQueryResponse()
            ready(isExtended)
        case .error(let error):
            fail(error, isExtended: isExtended)
            if error.isFatal {
                flush(context)
                context.close(promise: nil)
            }
        case .copyIn:
            output.writeCopyInResponse(CopyResponse(format: .text, columnFormats: [.text]))
            phase = .copyingIn(isExtended: isExtended)
        case .copyOut(let lines):
            output.writeCopyOutResponse(CopyResponse(format: .text, columnFormats: [.text]))
            for line in lines { output.writeCopyData(ByteBuffer(string: line + "\n")) }
            output.writeCopyDone()
            output.writeCommandComplete(tag: "COPY \(lines.count)")
            ready(isExtended)
        case .notice(let notice, let next):
            output.writeNoticeResponse(notice)
            perform(next, query, isExtended: isExtended, rowsMax: rowsMax, context)
        case .parameterStatus(let name, let value, let next):
            output.writeParameterStatus(name: name, value: value)
            perform(next, query, isExtended: isExtended, rowsMax: rowsMax, context)
        case .notification(let notification, let next):
            output.writeNotificationResponse(notification)
            perform(next, query, isExtended: isExtended, rowsMax: rowsMax, context)
        case .delayed(let time, let next):
            isDelayed = true
            context.eventLoop.assumeIsolated().scheduleTask(in: time) {
                self.isDelayed = false
                self.perform(next, query, isExtended: isExtended, rowsMax: rowsMax, context)
                self.proceed(context)
            }
        case .raw(let bytes): output.writeImmutableBuffer(bytes)
        case .stall: phase = .stalled(isExtended: isExtended)
        case .hangUp:
            flush(context)
            context.close(promise: nil)
        }
    }

    private func fail(_ error: ServerError, isExtended: Bool) {
        output.writeErrorResponse(error)
        if status == UInt8(ascii: "T") { status = UInt8(ascii: "E") }
        phase = isExtended ? .skippingToSync : .ready
        if !isExtended { output.writeReadyForQuery(status: status) }
    }

    private func ready(_ isExtended: Bool) {
        if !isExtended { output.writeReadyForQuery(status: status) }
    }

    private func noteTransaction(_ query: String) {
        switch query.prefix(while: \.isLetter).uppercased() {
        case "BEGIN", "START": status = UInt8(ascii: "T")
        case "COMMIT", "ROLLBACK", "END", "ABORT": status = UInt8(ascii: "I")
        default: break
        }
    }

    private func receivedCopy(_ frame: Frame, _ isExtended: Bool) throws(WireError) {
        switch frame.kind {
        case FrontendKind.copyData:
            server.record(.copyData(frame.body))
            copied.writeImmutableBuffer(frame.body)
        case FrontendKind.copyDone:
            server.record(.copyDone)
            let lines = copied.readableBytesView.filter { $0 == UInt8(ascii: "\n") }.count
            copied.clear()
            phase = .ready
            output.writeCommandComplete(tag: "COPY \(lines)")
            ready(isExtended)
        case FrontendKind.copyFail:
            let reason = try CopyFail(body: frame.body).reason
            server.record(.copyFail(reason))
            copied.clear()
            fail(.init(sqlState: .queryCanceled, message: "COPY from stdin failed: \(reason)"), isExtended: isExtended)
        default: throw WireError(.unexpectedMessage, kind: frame.kind)
        }
    }
}
