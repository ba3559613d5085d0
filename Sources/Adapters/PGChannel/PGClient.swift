package import NIOCore
package import PGWire
internal import Synchronization

/// A session with a PostgreSQL server (or with the router) for `async` code: the control plane and REST, not the path of a client's queries.
///
/// Calls run one after another in the order they are made. A call that times out or whose task is cancelled fails at once; the server is asked
/// to cancel it, and the connection is closed where that does not help within seconds. Every call throws `PGClientError`.
/// The connection is closed when the last reference goes.
package final class PGClient: Sendable {
    package struct Options: Sendable {
        package var overrides = BackendConnector.Overrides()
        /// nil: the endpoint's, else ten seconds.
        package var connectTimeout: TimeAmount?
        /// For calls that name none; the time in the queue counts.
        package var callTimeout: TimeAmount = .seconds(60)

        /// Which addresses may be connected to.
        package var addresses = AddressPolicy.any

        package init() {}
    }

    package struct QueryOptions: Hashable, Sendable {
        /// Rows to return at most; `isTruncated` says that there were more.
        package var rowsMax: Int?
        /// Bytes of rows to hold at most; beyond it the call fails with `resultTooLarge`.
        package var bytesMax: Int = PGClient.bytesMaxDefault
        package var resultFormat: WireFormat = .text
        package var timeout: TimeAmount?
        /// Under which the statement stays prepared on this connection, for later calls with the same text; with another text the name is prepared anew. nil: it is
        /// parsed and planned at each call.
        package var preparedName: String?

        package init(rowsMax: Int? = nil, timeout: TimeAmount? = nil) {
            self.rowsMax = rowsMax
            self.timeout = timeout
        }
    }

    /// Calls that may wait for the connection at a time.
    package static let callsMax = 1024
    /// Notifications and setting changes held for a reader that is slow; older ones are dropped.
    package static let notificationsMax = 4096
    package static let bytesMaxDefault = 64 << 20
    /// Parameters of one statement: the protocol counts them in 16 bits.
    package static let parametersMax = 65_535

    let channel: any Channel
    let handler: NIOLoopBound<PGClientHandler>
    private let observers: PGClientObservers
    let callTimeout: TimeAmount
    private let callIDs = Atomic<UInt64>(0)
    /// What is known to be prepared under each name of `QueryOptions.preparedName`. The names are the program's own, and few.
    let preparedTexts = Mutex<[String: String]>([:])
    package let processID: Int32
    /// The server has proved, by SCRAM, that it knows what the password is checked by.
    package let serverHasProvenItself: Bool

    /// On the loop.
    fileprivate init(_ backend: EstablishedBackend, options: Options, cancelRequest: @escaping @Sendable () -> EventLoopFuture<Void>?) throws {
        channel = backend.channel
        observers = PGClientObservers(parameters: backend.parameters)
        callTimeout = options.callTimeout
        processID = backend.processID
        serverHasProvenItself = backend.hasProvenItself
        let handler = PGClientHandler(unread: backend.unread, observers: observers, cancelRequest: cancelRequest)
        self.handler = NIOLoopBound(handler, eventLoop: channel.eventLoop)
        try channel.pipeline.syncOperations.addHandler(handler)
    }

    deinit { channel.close(promise: nil) }

    package var eventLoop: any EventLoop { channel.eventLoop }
    package var isOpen: Bool { channel.isActive }
    /// What the last call left the session in.
    package var transactionStatus: TransactionStatus {
        TransactionStatus(rawValue: observers.transactionStatus.load(ordering: .acquiring)) ?? .failed
    }
    /// The settings the server reported last.
    package var parameterStatuses: [String: String] { observers.parameterStatuses }
    /// Setting changes after the start. One reader.
    package var parameterChanges: AsyncStream<ParameterStatus> { observers.parameterChanges }
    /// Of the channels that LISTEN named. One reader.
    package var notifications: AsyncStream<NotificationResponse> { observers.notifications }
    /// Completes when the connection is gone.
    package var onClose: EventLoopFuture<Void> { channel.closeFuture }

    /// Asks the server to cancel the running call, which then fails with its error. Nothing happens where none runs.
    package func cancel() async throws {
        let sent = channel.eventLoop.flatSubmit { [handler, channel] in
            handler.value.cancelRunning(orClose: true) ?? channel.eventLoop.makeSucceededVoidFuture()
        }
        do {
            try await sent.get()
        } catch let error as BackendConnectError {
            throw PGClientError(.connect(error), execution: .didNotRun)
        }
    }

    /// Says goodbye, and waits until the connection is closed. Calls under way fail with `connectionClosed`.
    package func close() async {
        channel.eventLoop.execute { [handler] in handler.value.close() }
        try? await channel.closeFuture.get()
    }

    /// Queues a call, and waits for its answer.
    func perform(
        _ kind: @escaping @Sendable (UInt64) -> PGClientCall.Kind, _ request: ByteBuffer, id: UInt64, bytesMax: Int = bytesMaxDefault,
        timeout: TimeAmount?
    ) async throws -> [PGResult] {
        let loop = channel.eventLoop
        let timeout = timeout ?? callTimeout
        let promise = loop.makePromise(of: [PGResult].self)
        // Before the handler is there: of a task that is cancelled already, it runs at once, and must find the call.
        loop.execute { [handler] in
            let call = PGClientCall(id: id, kind: kind(id), request: request, bytesMax: bytesMax, promise: promise)
            handler.value.enqueue(call, timeout: timeout)
        }
        return try await withTaskCancellationHandler {
            try await promise.futureResult.get()
        } onCancel: {
            loop.execute { [handler] in handler.value.abandon(id, .cancelled) }
        }
    }

    /// Gives a call up unless `awaited` comes within `silenceMax`.
    func limit(_ awaited: EventLoopFuture<some Sendable>, of id: UInt64, to silenceMax: TimeAmount?) {
        guard let silenceMax else { return }
        let watch = giveUp(id, in: silenceMax)
        awaited.whenComplete { _ in watch.cancel() }
    }

    func giveUp(_ id: UInt64, in limit: TimeAmount) -> Scheduled<Void> {
        channel.eventLoop.scheduleTask(in: limit) { [handler] in handler.value.abandon(id, .timedOut) }
    }

    func makeCallID() -> UInt64 { callIDs.add(1, ordering: .relaxed).newValue }

    static func requireText(_ sql: String) throws(PGClientError) {
        guard !sql.utf8.contains(0) else { throw PGClientError(.invalidCall("a statement holds no zero byte"), execution: .didNotRun) }
    }
}

extension PGClient {
    /// Of a session between two calls, by the bytes of ReadyForQuery.
    package enum TransactionStatus: UInt8, Hashable, Sendable {
        case idle = 0x49
        case inTransaction = 0x54
        case failed = 0x45
    }

    /// Connects and authenticates on a loop of `group`. Throws `PGClientError`.
    package static func connect(to endpoint: PostgresEndpoint, on group: any EventLoopGroup, options: Options = Options()) async throws -> PGClient {
        let loop = group.next()
        let backend = BackendConnector.connect(to: endpoint, overrides: options.overrides, on: loop, timeout: options.connectTimeout, addresses: options.addresses)
        return try await makeClient(backend, options) { backend in
            BackendConnector.sendCancel(to: endpoint, backend.cancelKey, on: loop)
        }
    }

    /// Speaks over a socket that is connected already (one end of a socketpair), without TLS. Owns `descriptor` from the call on.
    ///
    /// `parameters` holds at least `user`. `cancel` brings a cancel request to the other side and completes when that has it; without it a running
    /// call cannot be cancelled on such a line, and the connection is closed instead.
    package static func connect(
        overConnectedSocket descriptor: CInt, parameters: [StartupMessage.Parameter], password: String? = nil, on group: any EventLoopGroup,
        options: Options = Options(), cancel: (@Sendable (CancelRequest) -> EventLoopFuture<Void>)? = nil
    ) async throws -> PGClient {
        var overrides = options.overrides
        overrides.database = parameters.last { $0.name == "database" }?.value ?? overrides.database
        if let password { overrides.password = .literal(password) }
        overrides.parameters += parameters.filter { $0.name != "user" && $0.name != "database" }
        let backend = BackendConnector.connect(
            overConnectedSocket: descriptor, user: parameters.last { $0.name == "user" }?.value ?? "", overrides: overrides, on: group.next(),
            timeout: options.connectTimeout ?? BackendConnector.timeoutDefault)
        return try await makeClient(backend, options) { backend in cancel?(backend.cancelKey) }
    }

    private static func makeClient(
        _ backend: EventLoopFuture<EstablishedBackend>, _ options: Options,
        cancelRequest: @escaping @Sendable (EstablishedBackend) -> EventLoopFuture<Void>?
    ) async throws -> PGClient {
        do {
            return try await backend.flatMapThrowing { backend in
                try PGClient(backend, options: options) { cancelRequest(backend) }
            }.get()
        } catch let error as BackendConnectError {
            throw PGClientError(.connect(error), execution: .didNotRun)
        } catch {
            throw PGClientError(.connectionClosed, execution: .didNotRun)
        }
    }
}
