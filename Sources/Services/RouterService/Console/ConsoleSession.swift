internal import NIOCore
internal import PGWire
internal import SessionCore

/// Somebody on the router's console: a few words instead of SQL, by the simple or the extended protocol.
final class ConsoleSession: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// The name of the database that is none.
    static let database = "pgmosaic"
    /// Consoles of a router; clients' places are not theirs.
    static let sessionsMax = 20
    private static let messageMax = 64 << 10
    private static let backlogMax = 256 << 10
    private static let namesMax = 256

    private struct Portal {
        let command: ConsoleCommand
        let formats: [WireFormat]
        /// Rows that no Execute has taken yet; nil: it has not run.
        var rows: ArraySlice<[ConsoleTable.Value]>?

        func format(_ column: Int) -> WireFormat { formats.count == 1 ? formats[0] : column < formats.count ? formats[column] : .text }
    }

    let loop: RouterLoop
    let user: String
    let address: String?
    private let onlyLooks: Bool
    private let permit: ClientPermit
    private var context: ChannelHandlerContext?
    private var inbox = ByteBuffer()
    private var statements: [String: ConsoleCommand] = [:]
    private var portals: [String: Portal] = [:]
    private var isSkipping = false
    /// A command that is carried out; what the client sends meanwhile waits.
    private var running: Task<Void, Never>?

    init(loop: RouterLoop, user: String, address: String?, onlyLooks: Bool, permit: ClientPermit) {
        self.user = user
        self.address = address
        self.loop = loop
        self.onlyLooks = onlyLooks
        self.permit = permit
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        loop.add(self)
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.context = nil
        running?.cancel()
        loop.remove(self)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) { received(unwrapInboundIn(data)) }

    func received(_ bytes: ByteBuffer) {
        var bytes = bytes
        inbox.writeBuffer(&bytes)
        if inbox.readableBytes > Self.backlogMax { return fatal(WireError(.messageTooLarge, kind: 0).serverError) }
        pump()
    }

    /// The router ends.
    func end() { fatal(.shuttingDown) }

    // MARK: Messages

    private func pump() {
        while running == nil, context != nil {
            do throws(WireError) {
                guard let frame = try inbox.readFrame(limit: Self.messageMax) else { break }
                try handle(frame.kind, frame.body)
            } catch {
                return fatal(error.serverError)
            }
        }
        inbox.discardReadBytes()
        context?.flush()
    }

    private func handle(_ kind: UInt8, _ body: ByteBuffer) throws(WireError) {
        if kind == FrontendKind.terminate {
            context?.close(promise: nil)
            return
        }
        if kind == FrontendKind.sync {
            isSkipping = false
            portals.removeAll()
            return ready()
        }
        if isSkipping { return }
        switch kind {
        case FrontendKind.query: simple(String(buffer: try QueryMessage(body: body).query))
        case FrontendKind.parse: extended { () throws(ServerError) in try self.parse(try Self.checked { () throws(WireError) in try ParseMessage(body: body) }) }
        case FrontendKind.bind: extended { () throws(ServerError) in try self.bind(try Self.checked { () throws(WireError) in try BindMessage(body: body) }) }
        case FrontendKind.describe: extended { () throws(ServerError) in try self.describe(try Self.checked { () throws(WireError) in try DescribeMessage(body: body) }) }
        case FrontendKind.execute: extended { () throws(ServerError) in try self.execute(try Self.checked { () throws(WireError) in try ExecuteMessage(body: body) }) }
        case FrontendKind.close:
            let message = try CloseMessage(body: body)
            let name = message.name.nameKey
            if message.target == .statement { statements[name] = nil } else { portals[name] = nil }
            send { $0.writeCloseComplete() }
        case FrontendKind.flush: break
        default: throw WireError(.unexpectedMessage, kind: kind)
        }
    }

    private static func checked<Message>(_ read: () throws(WireError) -> Message) throws(ServerError) -> Message {
        do { return try read() } catch { throw error.serverError }
    }

    private func extended(_ work: () throws(ServerError) -> Void) {
        do throws(ServerError) { try work() } catch { fail(error) }
    }

    private func fail(_ error: ServerError) {
        isSkipping = true
        send { $0.writeErrorResponse(error) }
    }

    private func admitted(_ text: String) throws(ServerError) -> ConsoleCommand {
        let command = try ConsoleCommand(text)
        if onlyLooks, !command.onlyLooks { throw .consoleReadOnly }
        return command
    }

    // MARK: The simple protocol

    private func simple(_ text: String) {
        portals.removeAll()
        let command: ConsoleCommand
        do throws(ServerError) { command = try admitted(text) } catch {
            send { $0.writeErrorResponse(error) }
            return ready()
        }
        run(command) { [self] result in
            switch result {
            case .success(let table):
                if case .show(let report) = command {
                    send { buffer in
                        ConsoleTable.describe(ConsoleReports.columns(report), formats: { _ in .text }, &buffer)
                        for row in table.rows { ConsoleTable.write(row, formats: { _ in .text }, &buffer) }
                    }
                }
                complete(command)
            case .failure(let error): send { $0.writeErrorResponse(error) }
            }
            ready()
        }
    }

    private func complete(_ command: ConsoleCommand) {
        send { buffer in
            switch command {
            case .show: buffer.writeCommandComplete(tag: "SHOW")
            case .pause: buffer.writeCommandComplete(tag: "PAUSE")
            case .resume: buffer.writeCommandComplete(tag: "RESUME")
            case .reconnect: buffer.writeCommandComplete(tag: "RECONNECT")
            case .reload: buffer.writeCommandComplete(tag: "RELOAD")
            case .politeness(let tag): buffer.writeCommandComplete(tag: tag)
            case .empty: buffer.writeEmptyQueryResponse()
            }
        }
    }

    // MARK: The extended protocol

    private func parse(_ message: ParseMessage) throws(ServerError) {
        let name = message.name.nameKey
        if !name.isEmpty, statements[name] != nil { throw .duplicateStatement(name) }
        guard statements.count < Self.namesMax else { throw .tooManyStatements }
        statements[name] = try admitted(String(buffer: message.query))
        send { $0.writeParseComplete() }
    }

    private func bind(_ message: BindMessage) throws(ServerError) {
        let name = message.statement.nameKey
        guard let command = statements[name] else { throw .unknownStatement(name) }
        guard message.parameterCount == 0 else { throw .parameterCount(message.parameterCount, wanted: 0) }
        let formats = (0..<message.resultFormats.count).map { message.resultFormats[$0] }
        let columns = Self.columns(command).count
        guard formats.count <= 1 || formats.count == columns else {
            throw ServerError(
                sqlState: .protocolViolation, message: "bind message has \(formats.count) result formats but query has \(columns) columns")
        }
        guard portals.count < Self.namesMax else { throw .tooManyPortals }
        portals[message.portal.nameKey] = Portal(command: command, formats: formats)
        send { $0.writeBindComplete() }
    }

    private static func columns(_ command: ConsoleCommand) -> [ConsoleTable.Column] {
        if case .show(let report) = command { ConsoleReports.columns(report) } else { [] }
    }

    private func describe(_ message: DescribeMessage) throws(ServerError) {
        let name = message.name.nameKey
        let columns: [ConsoleTable.Column]
        var formats: (Int) -> WireFormat = { _ in .text }
        switch message.target {
        case .statement:
            guard let command = statements[name] else { throw .unknownStatement(name) }
            columns = Self.columns(command)
            send { $0.writeParameterDescription([]) }
        case .portal:
            guard let portal = portals[name] else { throw .unknownPortal(name) }
            columns = Self.columns(portal.command)
            formats = portal.format
        }
        send { if columns.isEmpty { $0.writeNoData() } else { ConsoleTable.describe(columns, formats: formats, &$0) } }
    }

    private func execute(_ message: ExecuteMessage) throws(ServerError) {
        let name = message.portal.nameKey
        guard let portal = portals[name] else { throw .unknownPortal(name) }
        if portal.rows != nil { return deliver(name, max: message.rowsMax) }
        run(portal.command) { [self] result in
            switch result {
            case .success(let table):
                portals[name]?.rows = table.rows[...]
                deliver(name, max: message.rowsMax)
            case .failure(let error): fail(error)
            }
        }
    }

    private func deliver(_ name: String, max: Int32) {
        guard var portal = portals[name], let rows = portal.rows else { return }
        let part = max > 0 ? rows.prefix(Int(max)) : rows
        send { buffer in for row in part { ConsoleTable.write(row, formats: portal.format, &buffer) } }
        portal.rows = rows.dropFirst(part.count)
        portals[name] = portal
        if max > 0, part.count == Int(max), part.count < rows.count || part.count == Int(max) && portal.rows?.isEmpty == false {
            send { $0.writePortalSuspended() }
        } else {
            complete(portal.command)
        }
    }

    // MARK: Work

    private func run(_ command: ConsoleCommand, _ done: @escaping (Result<ConsoleTable, ServerError>) -> Void) {
        let promise = loop.eventLoop.makePromise(of: Result<ConsoleTable, ServerError>.self)
        let actions = ConsoleActions(shared: loop.shared)
        let audit = auditAction(command)
        running = Task {
            do throws(ServerError) {
                promise.succeed(.success(try await actions.run(command)))
            } catch {
                promise.succeed(.failure(error))
            }
        }
        promise.futureResult.assumeIsolated().whenSuccess { [self] result in
            running = nil
            audit(result)
            guard context != nil else { return }
            done(result)
            pump()
        }
    }

    // MARK: Answers

    private func ready() { send { $0.writeReadyForQuery(status: TransactionState.Phase.idle.rawValue) } }

    private func send(_ build: (inout ByteBuffer) -> Void) {
        guard let context else { return }
        var buffer = context.channel.allocator.buffer(capacity: 256)
        build(&buffer)
        context.write(wrapOutboundOut(buffer), promise: nil)
    }

    private func fatal(_ error: ServerError) {
        guard let context else { return }
        var error = error
        error[.severity] = ServerError.Severity.fatal.rawValue
        error[.severityPlain] = ServerError.Severity.fatal.rawValue
        send { $0.writeErrorResponse(error) }
        context.flush()
        running?.cancel()
        self.context = nil
        loop.remove(self)
        loop.linger(context, before: self)
    }
}
