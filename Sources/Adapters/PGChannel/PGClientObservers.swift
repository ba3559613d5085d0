internal import PGWire
internal import Synchronization

/// What a session tells on its own: settings that changed, notifications. For all threads.
final class PGClientObservers: Sendable {
    let parameterChanges: AsyncStream<ParameterStatus>
    let notifications: AsyncStream<NotificationResponse>
    private let parameters: Mutex<[String: String]>
    private let changes: AsyncStream<ParameterStatus>.Continuation
    private let incoming: AsyncStream<NotificationResponse>.Continuation

    init(parameters: [String: String]) {
        self.parameters = Mutex(parameters)
        (parameterChanges, changes) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(PGClient.notificationsMax))
        (notifications, incoming) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(PGClient.notificationsMax))
    }

    /// As the last ReadyForQuery had it; a session begins idle.
    let transactionStatus = Atomic<UInt8>(UInt8(ascii: "I"))

    var parameterStatuses: [String: String] { parameters.withLock { $0 } }

    func changed(_ status: ParameterStatus) {
        parameters.withLock { $0[status.name] = status.value }
        changes.yield(status)
    }

    func notified(_ notification: NotificationResponse) { incoming.yield(notification) }

    func finish() {
        changes.finish()
        incoming.finish()
    }
}
